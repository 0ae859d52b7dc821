package receive

import (
	"context"
	"slices"
	"strconv"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Redriver redrives deliveries out of quarantine. Safe for concurrent use.
type Redriver struct {
	service   *connection.Service
	engines   *engines
	secrets   *secrets
	deliverer *deliverer
}

// Redriven is a delivery that was redriven for a connection.
type Redriven struct {
	Receipt
	About events.EventContext `json:"-"`
}

// Redrive verifies a delivery again, as of the time it came, with the secrets of now,
// and stores it. A repeated call stores it once: a delivery without an id of its own is
// identified by its evidence.
func (v *Redriver) Redrive(ctx context.Context, e Evidence) ([]Redriven, error) {
	if !e.Redrivable {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the body of this delivery was not stored, so it cannot be redriven")
	}
	def, err := v.service.Connector(e.Connector)
	if err != nil {
		return nil, err
	}
	d := &delivery{id: events.NewID(), path: e.Path, redrivenFrom: e.ID, def: def}
	if d.Request, err = v.deliverer.quarantine.open(e); err != nil {
		return nil, err
	}
	ctx, cancel := v.deliverer.withTimeout(ctx, d.Body)
	defer cancel()
	if d.engine, err = v.engines.of(def); err != nil {
		return nil, err
	}
	if e.Scope == "" {
		return v.redriveApp(ctx, e, d)
	}
	// Read from the store, not from the cache: the operator may just have changed the
	// connection by another process.
	if d.conn, err = v.service.Latest(ctx, records.NewRef(events.Tenant{Scope: e.Scope, Identity: e.Identity}, e.Connector, e.Account)); err != nil {
		return nil, err
	}
	if err := receivable(d.conn); err != nil {
		return nil, err
	}
	signing, _, err := v.secrets.ofConnection(ctx, d)
	if err == nil {
		err = d.verify(ctx, signing)
	}
	if err != nil {
		return nil, err
	}
	receipt, err := v.deliverer.deliver(ctx, d)
	return []Redriven{{receipt, d.conn.About()}}, err
}

// redriveApp redrives a delivery to an app, for the connections of those accounts that
// had none when it came; the others have it. For accounts that still have none it stays
// in quarantine, as new evidence.
func (v *Redriver) redriveApp(ctx context.Context, e Evidence, d *delivery) ([]Redriven, error) {
	signing, _, err := v.secrets.appWide(ctx, d.def)
	if err == nil {
		err = d.verify(ctx, signing)
	}
	if err != nil {
		return nil, err
	}
	accounts := d.extracted.Accounts
	if len(e.ProviderAccounts) > 0 { // none: it was rejected, or its account not understood, so no connection has it
		// The evidence narrows what is sealed, and cannot widen it.
		accounts = slices.DeleteFunc(accounts, func(account string) bool { return !slices.Contains(e.ProviderAccounts, account) })
	}
	conns, missing, err := v.deliverer.byAccounts(ctx, d.def.Key, accounts)
	if err != nil {
		return nil, err
	}
	if len(conns) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "no connection is of the account that this delivery is for")
	}
	receipts, err := v.deliverer.deliverAll(ctx, d, conns)
	if err != nil {
		return nil, err
	}
	redriven := make([]Redriven, len(conns))
	for n, conn := range conns {
		redriven[n] = Redriven{receipts[n], conn.About()}
	}
	if len(missing) == 0 {
		return redriven, nil
	}
	e.ProviderAccounts = missing
	// A repeated call may leave one extra message in quarantine.
	if _, err := v.deliverer.quarantine.publish(ctx, &e, "rest/"+e.ID+"/"+strconv.Itoa(len(missing))); err != nil {
		return nil, problem.OfStream(err)
	}
	return append(redriven, Redriven{Receipt: Receipt{ID: e.ID, Quarantined: true}}), nil
}

// verify verifies and reads a delivery that is redriven.
func (d *delivery) verify(ctx context.Context, signing []secret.Text) (err error) {
	if d.verified, err = d.engine.Verify(ctx, d.Request, signing); err != nil {
		return unverified(err)
	}
	if refusal := d.engine.CheckPayload(d.Request); refusal != nil {
		return refusal
	}
	d.extracted = d.engine.Extract(d.Request)
	return nil
}
