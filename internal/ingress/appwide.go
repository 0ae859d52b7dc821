package ingress

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// receiveApp is the path of a webhook for one of the operator's apps: one URL for
// all who use the app. It is verified with the app's secret, and routed by the
// provider's account to every connection of it.
func (i *Ingress) receiveApp(w http.ResponseWriter, r *http.Request) {
	connector := r.PathValue("connector")
	ended, refusal := i.takeApp(w, r, connector)
	if refusal != nil {
		writeRefusal(w, refusal)
		ended = outcome(refusal.Code)
	}
	i.metrics.observeWebhook(i.knownName(connector), ended)
}

// takeApp does the work, as take does: our own stores are waited for before the
// body, and again after it.
func (i *Ingress) takeApp(w http.ResponseWriter, r *http.Request, connector string) (outcome, *connectors.Error) {
	def, err := i.Definitions.Get(connector)
	if err != nil {
		return "", connectors.AsError(err)
	}
	secrets, tokens, refusal := i.app(r.Context(), def)
	if refusal != nil {
		return "", refusal
	}
	engine, err := i.engine(def)
	if err != nil {
		return "", connectors.AsError(err)
	}
	body, done, err := i.readDelivery(w, r, &def.Webhook.Descriptor)
	if err != nil {
		return "", bodyError(err, def.Webhook.BodyLimit(), connectors.CodeConnectorWebhookValidationFailed)
	}
	defer done()
	ctx, cancel := i.patient(r.Context(), body)
	defer cancel()
	request, id := i.call(r, body), requestID(w)
	reply, err := engine.Handshake(ctx, request, secrets, tokens)
	if err != nil {
		return "", i.distrustApp(ctx, id, connector, request, unverified(err))
	}
	if reply != nil {
		return i.shake(r.Context(), w, def, nil, reply)
	}
	if !engine.Accepts(r.Method) {
		notAllowed(w, def.Webhook.AllowedMethods())
		return outcomeOther, nil
	}
	verified, err := engine.Verify(ctx, request, secrets)
	if err != nil {
		return "", i.distrustApp(ctx, id, connector, request, unverified(err))
	}
	if refusal := engine.CheckPayload(request); refusal != nil {
		i.testify(ctx, newEvidence(id, quarantineSchema, refusal.Code, connector, i.appPath(connector), nil, request), request, true)
		return "", refusal
	}
	receipts, refusal := i.dispatch(ctx, &mailing{Request: request, id: id, def: def, filed: engine.Extract(request), verified: verified})
	if refusal != nil {
		return "", refusal
	}
	return answer(w, &def.Webhook.Answer, sum(receipts)), nil
}

// app returns what an app's webhooks are verified with. An app without a secret
// has no webhook, unless the provider signs with public keys of its own: what
// anybody could send is not taken for all tenants.
func (i *Ingress) app(ctx context.Context, def *connectors.Connector) (secrets, tokens []secret.Text, refusal *connectors.Error) {
	none := connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no app-wide webhook here", def.Key)
	w := def.Webhook
	if w == nil || w.Delivery.Account == "" || slices.ContainsFunc(w.Verify, func(v webhooks.Verification) bool { return v.Scheme == webhooks.SchemeUnsigned }) {
		return nil, nil, none
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var err error
	if w.AppSecret != "" {
		if secrets, err = i.appSecrets(ctx, def); err != nil {
			return nil, nil, connectors.AsError(err)
		}
	}
	if len(secrets) == 0 && (w.AppSecret != "" || w.SecretField != "") {
		return nil, nil, none
	}
	if tokens, err = i.opts.Apps.VerifyTokens(ctx, def.Key); err != nil {
		return nil, nil, connectors.AsError(err)
	}
	return secrets, tokens, nil
}

// fanOut bounds the deposits of one delivery that are under way at once.
const fanOut = 16

// mailing is a verified delivery to an app, on its way to connections.
type mailing struct {
	webhook.Request
	id       string // of what is kept for nobody's account, and of the event if there is one only
	def      *connectors.Connector
	filed    webhook.Delivery
	verified webhook.Verified
	evidence string // the id of that which it is redriven from; "" if the provider sends it
}

// dispatch stores a delivery for every connection of the accounts it is for. What
// is for nobody here is kept in quarantine. If one cannot be stored, the whole is
// refused: the provider tries again, and those that have it drop the repetition.
func (i *Ingress) dispatch(ctx context.Context, m *mailing) ([]receipt, *connectors.Error) {
	conns, missing, refusal := i.ofAccounts(ctx, m.def.Key, m.filed.Accounts)
	if refusal != nil {
		return nil, refusal
	}
	receipts, refusal := i.hand(ctx, m, conns)
	if refusal != nil || len(missing) == 0 && len(m.filed.Accounts) > 0 {
		return receipts, refusal
	}
	kept, refusal := i.parkUnroutable(ctx, m, missing)
	return append(receipts, kept), refusal
}

// ofAccounts are the connections of a provider's accounts, and the accounts that
// have none.
func (i *Ingress) ofAccounts(ctx context.Context, connector string, accounts []string) (conns []*connection.Connection, missing []string, refusal *connectors.Error) {
	for _, account := range accounts {
		found, err := i.Store.ByProviderAccount(ctx, connector, account)
		if err != nil {
			return nil, nil, connectors.AsError(err)
		}
		if len(found) == 0 {
			missing = append(missing, account)
		}
		conns = append(conns, found...)
	}
	return conns, missing, nil
}

// hand stores a delivery for each of the connections, or sets it aside.
func (i *Ingress) hand(ctx context.Context, m *mailing, conns []*connection.Connection) ([]receipt, *connectors.Error) {
	receipts := make([]receipt, len(conns), len(conns)+1)
	var g errgroup.Group
	g.SetLimit(fanOut)
	for n, conn := range conns {
		g.Go(func() error {
			id := m.id
			if len(conns) > 1 {
				id = events.NewID()
			}
			d := &delivery{Request: m.Request, id: id, redrivenFrom: m.evidence, conn: conn, webhook: &m.def.Webhook.Descriptor, path: i.appPath(m.def.Key)}
			one := i.message(d, m.filed, m.verified)
			var refusal *connectors.Error
			if err := receives(conn); err != nil {
				receipts[n], refusal = i.setAside(ctx, d, one, connectors.AsError(err))
			} else {
				receipts[n], refusal = i.store(ctx, d, one)
			}
			if refusal != nil {
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

// parkUnroutable keeps a delivery for accounts that nobody has connected.
func (i *Ingress) parkUnroutable(ctx context.Context, m *mailing, missing []string) (receipt, *connectors.Error) {
	connector := m.def.Key
	kept := newEvidence(m.id, quarantineUnroutable, connectors.CodeConnectorNotConnected, connector, i.appPath(connector), nil, m.Request)
	kept.ProviderAccounts = missing
	id := ""
	if m.filed.ID != "" {
		id = "unroutable/" + connector + "/" + m.filed.ID
	}
	duplicate, refusal := i.recent.once(id, func() (bool, *connectors.Error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
		defer cancel()
		return i.park(ctx, kept, m.Request, id)
	})
	return receipt{ID: kept.ID, Duplicate: duplicate, Quarantined: true}, refusal
}

// distrustApp refuses a call of an app's URL that did not verify. Nobody's
// connection is known, so there is evidence, and no event.
func (i *Ingress) distrustApp(ctx context.Context, id, connector string, request webhook.Request, e *connectors.Error) *connectors.Error {
	rejection, ok := errors.AsType[*webhook.Rejection](e.Cause)
	if !ok {
		return e
	}
	reason := quarantineReason(rejection)
	note := newEvidence(id, reason, e.Code, connector, i.appPath(connector), nil, request)
	note.Detail, note.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
	// The address is no secret: anybody can call it, so no body is kept.
	i.testify(ctx, note, request, false)
	i.metrics.rejections.WithLabelValues(connector, string(rejection.Reason)).Inc()
	return e
}

func (i *Ingress) appPath(connector string) string {
	return i.opts.BasePath + "/connectors/" + connector + "/webhook"
}
