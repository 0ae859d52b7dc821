package receive

import (
	"context"
	"slices"
	"strconv"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Redriver redrives deliveries out of quarantine. Safe for concurrent use.
type Redriver struct {
	service     *connection.Service
	definitions *records.Definitions
	engines     *engines
	secrets     *secrets
	deliveries  *deliverer
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
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the body of this delivery was not kept, so it cannot be driven again")
	}
	request, err := v.deliveries.quarantine.open(e)
	if err != nil {
		return nil, err
	}
	ctx, cancel := v.deliveries.withTimeout(ctx, request.Body)
	defer cancel()
	def, err := v.definitions.Get(e.Connector)
	if err != nil {
		return nil, err
	}
	if e.Scope == "" {
		return v.redriveApp(ctx, e, def, request)
	}
	return v.redriveConnection(ctx, e, def, request)
}

func (v *Redriver) redriveConnection(ctx context.Context, e Evidence, def *connectors.Connector, request webhook.Request) ([]Redriven, error) {
	// Read from the store, not from the cache: the operator may just have changed the
	// connection by another process.
	conn, err := v.service.Latest(ctx, records.NewRef(events.Tenant{Scope: e.Scope, Identity: e.Identity}, e.Connector, e.Account))
	if err != nil {
		return nil, err
	}
	if err := receivable(conn); err != nil {
		return nil, err
	}
	d := &delivery{Request: request, id: events.NewID(), redrivenFrom: e.ID, conn: conn, def: def, path: e.Path}
	secrets, err := v.secrets.signing(ctx, d)
	if err != nil {
		return nil, err
	}
	extracted, verified, err := v.verify(ctx, def, request, secrets)
	if err != nil {
		return nil, err
	}
	receipt, refusal := v.deliveries.publisher.store(ctx, d, v.deliveries.publisher.message(d, extracted, verified))
	if refusal != nil {
		return nil, refusal
	}
	return []Redriven{{receipt, conn.About()}}, nil
}

// redriveApp redrives a delivery to an app, for the connections of those accounts that
// had none when it came; the others have it. For accounts that still have none it stays
// in quarantine, as new evidence.
func (v *Redriver) redriveApp(ctx context.Context, e Evidence, def *connectors.Connector, request webhook.Request) ([]Redriven, error) {
	secrets, _, err := v.secrets.appWide(ctx, def)
	if err != nil {
		return nil, err
	}
	a := &appDelivery{Request: request, id: events.NewID(), def: def, redrivenFrom: e.ID}
	if a.extracted, a.verified, err = v.verify(ctx, def, request, secrets); err != nil {
		return nil, err
	}
	accounts := a.extracted.Accounts
	if len(e.ProviderAccounts) > 0 { // none: it was rejected, or its account not understood, so no connection has it
		// The evidence narrows what is sealed, and cannot widen it.
		accounts = slices.DeleteFunc(accounts, func(account string) bool { return !slices.Contains(e.ProviderAccounts, account) })
	}
	conns, missing, err := v.deliveries.byAccounts(ctx, def.Key, accounts)
	if err != nil {
		return nil, err
	}
	if len(conns) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "no connection is of the account that this delivery is for")
	}
	receipts, refusal := v.deliveries.deliverAll(ctx, a, conns)
	if refusal != nil {
		return nil, refusal
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
	if _, err := v.deliveries.quarantine.publish(ctx, &e, "rest/"+e.ID+"/"+strconv.Itoa(len(missing))); err != nil {
		return nil, problem.OfStream(err)
	}
	return append(redriven, Redriven{Receipt: Receipt{ID: e.ID, Quarantined: true}}), nil
}

// verify verifies and reads a delivery.
func (v *Redriver) verify(ctx context.Context, def *connectors.Connector, r webhook.Request, secrets []secret.Text) (extracted webhook.Metadata, verified webhook.Verified, err error) {
	engine, err := v.engines.of(def)
	if err != nil {
		return extracted, verified, err
	}
	if verified, err = engine.Verify(ctx, r, secrets); err != nil {
		return extracted, verified, unverified(err)
	}
	if refusal := engine.CheckPayload(r); refusal != nil {
		return extracted, verified, refusal
	}
	return engine.Extract(r), verified, nil
}
