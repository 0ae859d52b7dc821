package ingress

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// receive is the path of a provider's webhook for one connection:
//
//	connection by the SHA-256 of the URL's secret → size cap → handshake? →
//	signature over the raw bytes → publish, wait for the ack → 2xx
//
// Nothing else is on it. A refusal says as little as its code.
func (i *Ingress) receive(w http.ResponseWriter, r *http.Request) {
	connector := r.PathValue("connector")
	ended, refusal := i.take(w, r, connector)
	if refusal != nil {
		writeRefusal(w, refusal)
		ended = outcome(refusal.Code)
	}
	i.metrics.observeWebhook(i.knownName(connector), ended)
}

// delivery is a call of a provider on its way to a connection.
type delivery struct {
	webhook.Request
	id string // of the event that it becomes, or of the evidence
	// redrivenFrom is the id of the evidence in quarantine that the delivery was kept
	// as; "" if it comes from the provider.
	redrivenFrom string
	conn         *connection.Connection
	webhook      *webhooks.Descriptor
	path         string // as it was called, the secret masked
}

// take does the work. It answers a success itself, and returns a refusal.
func (i *Ingress) take(w http.ResponseWriter, r *http.Request, connector string) (ended outcome, refusal *connectors.Error) {
	def, err := i.Definitions.Get(connector)
	if err != nil {
		return "", connectors.AsError(err)
	}
	if def.Webhook == nil {
		return "", connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", connector)
	}
	engine, err := i.engine(def)
	if err != nil {
		return "", connectors.AsError(err)
	}
	conn, err := i.addressed(r, connector)
	if err != nil {
		return "", unverified(err)
	}
	d := &delivery{id: requestID(w), conn: conn, webhook: &def.Webhook.Descriptor, path: i.maskedPath(connector)}
	d.Method = r.Method
	body, done, err := i.readDelivery(w, r, &def.Webhook.Descriptor)
	if err != nil {
		return "", i.reject(r.Context(), d, bodyError(err, def.Webhook.BodyLimit(), connectors.CodeConnectorWebhookValidationFailed))
	}
	defer done()
	d.Request = i.call(r, body)
	return i.judge(w, r, d, def, engine)
}

// call is what verification sees of an HTTP request.
func (i *Ingress) call(r *http.Request, body []byte) webhook.Request {
	return webhook.Request{
		Method: r.Method, PublicURL: i.opts.BaseURL + r.URL.RequestURI(), Header: r.Header,
		Query: r.URL.Query(), Body: body, Now: time.Now(),
	}
}

// addressed is the connection that the URL belongs to.
func (i *Ingress) addressed(r *http.Request, connector string) (*connection.Connection, error) {
	url := secret.New(r.PathValue("secret"))
	if i.guesses.Tokens() < 1 && !i.Store.IsWebhookURLCached(url) {
		e := connectors.Errorf(connectors.CodeConnectorRateLimited, "too many calls of addresses that are nobody's; try again")
		e.RetryAfter = time.Second
		return nil, e
	}
	// A sender that has closed its side may still read what is answered.
	conn, err := i.Store.ByWebhookURL(context.WithoutCancel(r.Context()), connector, url)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorWebhookVerificationFailed}) {
		i.guesses.Allow()
	}
	return conn, err
}

// judge decides about a delivery whose connection is known. That it is genuine
// comes first: a stranger learns nothing of the connection.
func (i *Ingress) judge(w http.ResponseWriter, r *http.Request, d *delivery, def *connectors.Connector, engine *webhook.Engine) (outcome, *connectors.Error) {
	ctx, cancel := i.patient(r.Context(), d.Body)
	defer cancel()
	secrets, err := i.secrets(ctx, d)
	if err != nil {
		return "", connectors.AsError(err)
	}
	tokens, err := i.tokens(ctx, d)
	if err != nil {
		return "", connectors.AsError(err)
	}
	reply, err := engine.Handshake(ctx, d.Request, secrets, tokens)
	if err != nil {
		return "", i.distrust(ctx, d, unverified(err))
	}
	if reply != nil {
		return i.shake(r.Context(), w, def, d.conn, reply)
	}
	if !engine.Accepts(d.Method) {
		notAllowed(w, d.webhook.AllowedMethods())
		return outcomeOther, nil
	}
	verified, err := engine.Verify(ctx, d.Request, secrets)
	if err != nil {
		return "", i.distrust(ctx, d, unverified(err))
	}
	message := i.message(d, engine.Extract(d.Request), verified)
	if err := receives(d.conn); err != nil {
		taken, refusal := i.setAside(ctx, d, message, connectors.AsError(err))
		if refusal != nil {
			return "", refusal
		}
		return answer(w, &d.webhook.Answer, taken), nil
	}
	if refusal := engine.CheckPayload(d.Request); refusal != nil {
		i.testify(ctx, d.evidence(quarantineSchema, refusal.Code), d.Request, true)
		return "", i.reject(ctx, d, refusal)
	}
	taken, refusal := i.store(ctx, d, message)
	if refusal != nil {
		return "", refusal
	}
	return answer(w, &d.webhook.Answer, taken), nil
}

// receives is nil if deliveries for the connection are taken. A connection whose
// tokens the provider refuses still is the one that the provider calls.
func receives(conn *connection.Connection) error {
	if conn.State == connection.NeedsReauth {
		return nil
	}
	return conn.Usable()
}

// configured opens the secret that a field of the connection's config holds; none
// if the webhook names no field, or the config has nothing there.
func (i *Ingress) configured(d *delivery, field string) ([]secret.Text, error) {
	if field == "" {
		return nil, nil
	}
	s, err := i.Store.ConfigSecret(d.conn, field)
	if err != nil || s.IsZero() {
		return nil, err
	}
	return []secret.Text{s}, nil
}

// unverified is what a caller is told who did not prove to be the provider: the
// same whether the URL, the signature or its time is wrong. The reason is kept
// for metric, evidence and log.
func unverified(err error) *connectors.Error {
	e := connectors.AsError(err)
	rejection, rejected := errors.AsType[*webhook.Rejection](err)
	switch {
	case rejected && rejection.Reason == webhook.ReasonWrongToken:
		e = connectors.Errorf(connectors.CodeForbidden, "the handshake's verify token is not the one that is configured")
	case rejected || e.Code == connectors.CodeConnectorWebhookVerificationFailed:
		e = connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "the delivery could not be verified")
	case errors.Is(err, webhook.ErrKeysUnavailable):
		e = connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the provider's keys cannot be had now; try again")
	default:
		return e
	}
	e.Cause = err
	return e
}

// knownName keeps names that strangers make up out of the metrics' labels.
func (i *Ingress) knownName(connector string) string {
	if _, err := i.Definitions.Get(connector); err != nil {
		return "unknown"
	}
	return connector
}
