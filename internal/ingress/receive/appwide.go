package receive

import (
	"context"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// receiveApp is the path of a webhook for one of the operator's apps: one URL for all
// connections of the app. It is verified with the app's secret, and routed by the
// provider's account to every connection of that account.
func (v *Receiver) receiveApp(w http.ResponseWriter, r *http.Request) (outcome, error) {
	d, err := v.newDelivery(w, r)
	if err != nil {
		return "", err
	}
	signing, tokens, err := v.secrets.appWide(r.Context(), d.def) // before the body: most connectors have none
	if err != nil {
		return "", err
	}
	return v.accept(w, r, d, func(context.Context) ([]secret.Text, []secret.Text, error) { return signing, tokens, nil })
}

// maxFanOut bounds the connections for which one delivery is stored at once.
const maxFanOut = 16

// dispatch delivers to every connection of the accounts that a delivery is for. What
// is for accounts without a connection is quarantined. If one delivery cannot be
// stored, the whole is refused: the provider sends it again, and the connections that
// have it drop the repetition.
func (t *deliverer) dispatch(ctx context.Context, d *delivery) (Receipt, error) {
	conns, missing, err := t.byAccounts(ctx, d.def.Key, d.extracted.Accounts)
	if err != nil {
		return Receipt{}, err
	}
	receipts, err := t.deliverAll(ctx, d, conns)
	if err == nil && (len(missing) > 0 || len(d.extracted.Accounts) == 0) {
		var quarantined Receipt
		quarantined, err = t.quarantineUnroutable(ctx, d, missing)
		receipts = append(receipts, quarantined)
	}
	if err != nil {
		return Receipt{}, err
	}
	if len(receipts) == 1 {
		return receipts[0], nil
	}
	// The provider does not learn how many connections have it.
	return Receipt{
		Duplicate:   !slices.ContainsFunc(receipts, func(r Receipt) bool { return !r.Duplicate }),
		Quarantined: slices.ContainsFunc(receipts, func(r Receipt) bool { return r.Quarantined }),
	}, nil
}

// byAccounts returns the connections of a provider's accounts, and the accounts that
// have none.
func (t *deliverer) byAccounts(ctx context.Context, connector string, accounts []string) (conns []*records.Connection, missing []string, err error) {
	for _, account := range accounts {
		found, err := t.connections.ByProviderAccount(ctx, connector, account)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			missing = append(missing, account)
		}
		conns = append(conns, found...)
	}
	return conns, missing, nil
}

// deliverAll delivers to each of the connections.
func (t *deliverer) deliverAll(ctx context.Context, d *delivery, conns []*records.Connection) ([]Receipt, error) {
	receipts := make([]Receipt, len(conns), len(conns)+1)
	var g errgroup.Group
	g.SetLimit(maxFanOut)
	for n, conn := range conns {
		g.Go(func() (err error) {
			one := *d
			one.conn = conn
			if len(conns) > 1 {
				one.id = events.NewID()
			}
			receipts[n], err = t.deliver(ctx, &one)
			return err
		})
	}
	return receipts, g.Wait()
}

// quarantineUnroutable puts a delivery for accounts without a connection into
// quarantine.
func (t *deliverer) quarantineUnroutable(ctx context.Context, d *delivery, missing []string) (Receipt, error) {
	e := d.evidence(quarantineUnroutable, connectors.CodeConnectorNotConnected)
	e.ProviderAccounts = missing
	id := ""
	if d.extracted.ID != "" {
		id = "unroutable/" + d.def.Key + "/" + d.extracted.ID
	}
	return t.quarantine.store(ctx, e, d.Request, id)
}
