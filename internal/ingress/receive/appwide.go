package receive

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// receiveApp is the path of a webhook for one of the operator's apps: one URL for all
// connections of the app. It is verified with the app's secret, and routed by the
// provider's account to every connection of that account.
func (v *Receiver) receiveApp(w http.ResponseWriter, r *http.Request, connector string) (outcome, *connectors.Error) {
	def, err := v.definitions.Get(connector)
	if err != nil {
		return "", connectors.AsError(err)
	}
	secrets, tokens, err := v.secrets.appWide(r.Context(), def)
	if err != nil {
		return "", connectors.AsError(err)
	}
	engine, err := v.engines.of(def)
	if err != nil {
		return "", connectors.AsError(err)
	}
	body, release, err := v.bodies.read(w, r, def.Webhook.BodyLimit())
	if err != nil {
		return "", connectors.AsError(err)
	}
	defer release()
	ctx, cancel := v.deliveries.withTimeout(r.Context(), body)
	defer cancel()
	a := &appDelivery{Request: v.urls.request(r, body), id: requestID(w), def: def}
	reply, err := engine.Handshake(ctx, a.Request, secrets, tokens)
	if err != nil {
		return "", v.deliveries.rejectUnverifiedApp(ctx, a, unverified(err))
	}
	if reply != nil {
		return outcomeHandshake, v.handshakes.answer(r.Context(), w, def, nil, reply)
	}
	if !engine.Accepts(r.Method) {
		problem.MethodNotAllowed(w, def.Webhook.AllowedMethods())
		return outcomeOther, nil
	}
	a.verified, err = engine.Verify(ctx, a.Request, secrets)
	if err != nil {
		return "", v.deliveries.rejectUnverifiedApp(ctx, a, unverified(err))
	}
	if refusal := engine.CheckPayload(a.Request); refusal != nil {
		v.deliveries.quarantine.recordRejection(ctx, v.deliveries.evidenceOfApp(a, quarantineSchema, refusal.Code), a.Request, true)
		return "", refusal
	}
	a.extracted = engine.Extract(a.Request)
	receipts, refusal := v.deliveries.dispatch(ctx, a)
	if refusal != nil {
		return "", refusal
	}
	return answer(w, &def.Webhook.Answer, combined(receipts)), nil
}

// maxFanOut bounds the connections for which one delivery is stored at once.
const maxFanOut = 16

// appDelivery is a call of an app's URL, on its way to connections.
type appDelivery struct {
	webhook.Request
	id           string // of the evidence, and of the event if there is one only
	def          *connectors.Connector
	extracted    webhook.Metadata
	verified     webhook.Verified
	redrivenFrom string // the id of the evidence that it is redriven from; "" if the provider sent it
}

// dispatch delivers to every connection of the accounts that a delivery is for. What
// is for accounts without a connection is quarantined. If one delivery cannot be
// stored, the whole is refused: the provider sends it again, and the connections that
// have it drop the repetition.
func (t *deliverer) dispatch(ctx context.Context, a *appDelivery) ([]Receipt, *connectors.Error) {
	conns, missing, err := t.byAccounts(ctx, a.def.Key, a.extracted.Accounts)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	receipts, refusal := t.deliverAll(ctx, a, conns)
	if refusal != nil || len(missing) == 0 && len(a.extracted.Accounts) > 0 {
		return receipts, refusal
	}
	quarantined, refusal := t.quarantineUnroutable(ctx, a, missing)
	return append(receipts, quarantined), refusal
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
func (t *deliverer) deliverAll(ctx context.Context, a *appDelivery, conns []*records.Connection) ([]Receipt, *connectors.Error) {
	receipts := make([]Receipt, len(conns), len(conns)+1)
	var g errgroup.Group
	g.SetLimit(maxFanOut)
	for n, conn := range conns {
		g.Go(func() error {
			id := a.id
			if len(conns) > 1 {
				id = events.NewID()
			}
			d := &delivery{Request: a.Request, id: id, redrivenFrom: a.redrivenFrom, conn: conn, def: a.def, path: t.urls.app(a.def.Key)}
			var refusal *connectors.Error
			if receipts[n], refusal = t.deliver(ctx, d, t.publisher.message(d, a.extracted, a.verified)); refusal != nil {
				return refusal
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, connectors.AsError(err)
	}
	return receipts, nil
}

// quarantineUnroutable puts a delivery for accounts without a connection into
// quarantine.
func (t *deliverer) quarantineUnroutable(ctx context.Context, a *appDelivery, missing []string) (Receipt, *connectors.Error) {
	e := t.evidenceOfApp(a, quarantineUnroutable, connectors.CodeConnectorNotConnected)
	e.ProviderAccounts = missing
	id := ""
	if a.extracted.ID != "" {
		id = "unroutable/" + a.def.Key + "/" + a.extracted.ID
	}
	return t.quarantine.store(ctx, e, a.Request, id)
}

// rejectUnverifiedApp refuses a call of an app's URL that did not verify. Its
// connection is unknown, so there is evidence, and no event.
func (t *deliverer) rejectUnverifiedApp(ctx context.Context, a *appDelivery, e *connectors.Error) *connectors.Error {
	rejection, ok := errors.AsType[*webhook.Rejection](e.Cause)
	if !ok {
		return e
	}
	evidence := t.evidenceOfApp(a, quarantineReason(rejection), e.Code)
	evidence.Detail, evidence.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
	// The URL is not secret: anybody can call it, so no body is stored.
	t.quarantine.recordRejection(ctx, evidence, a.Request, false)
	t.rejections.metrics.rejections.WithLabelValues(a.def.Key, string(rejection.Reason)).Inc()
	return e
}

func (t *deliverer) evidenceOfApp(a *appDelivery, reason string, code connectors.Code) *Evidence {
	return newEvidence(a.id, reason, code, &delivery{Request: a.Request, def: a.def, path: t.urls.app(a.def.Key)})
}
