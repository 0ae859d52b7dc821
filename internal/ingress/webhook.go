package ingress

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// storePatience bounds what a delivery may wait for our own stores, before and
// again after its body was read: a provider that hears 503 soon tries again, and
// one that hears nothing may give up.
const storePatience = 1500 * time.Millisecond

// receive is the path of a provider's webhook for one connection:
//
//	connection by the SHA-256 of the URL's secret → size cap → handshake? →
//	signature over the raw bytes → publish, wait for the ack → 2xx
//
// Nothing else is on it. A refusal says as little as its code.
func (i *Ingress) receive(w http.ResponseWriter, r *http.Request) {
	connector := r.PathValue("connector")
	status, refusal := i.take(w, r, connector)
	if refusal != nil {
		writeProblem(w, refusal)
	}
	i.metrics.observeWebhook(i.knownName(connector), status, refusal)
}

// delivery is a call of a provider on its way.
type delivery struct {
	webhook.Request
	r       *http.Request
	conn    *connection.Connection
	webhook *connectors.Webhook
}

// take does the work. It answers a success itself, and returns a refusal.
func (i *Ingress) take(w http.ResponseWriter, r *http.Request, connector string) (status int, refusal *connectors.Error) {
	def, err := i.Definitions.Get(connector)
	if err != nil {
		return 0, connectors.AsError(err)
	}
	if def.Webhook == nil {
		return 0, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", connector)
	}
	engine, err := i.engine(def)
	if err != nil {
		return 0, connectors.AsError(err)
	}
	conn, err := i.addressed(r, connector)
	if err != nil {
		return 0, unverified(err)
	}
	d := &delivery{r: r, conn: conn, webhook: def.Webhook}
	body, err := readBody(w, r, def.Webhook.BodyLimit())
	if err != nil {
		return 0, i.reject(d, bodyError(err, def.Webhook.BodyLimit(), connectors.CodeConnectorWebhookValidationFailed))
	}
	d.Request = webhook.Request{
		Method: r.Method, PublicURL: i.opts.BaseURL + r.URL.RequestURI(), Header: r.Header,
		Query: r.URL.Query(), Body: body, Now: time.Now(),
	}
	return i.judge(w, d, engine)
}

// addressed is the connection that the URL belongs to.
func (i *Ingress) addressed(r *http.Request, connector string) (*connection.Connection, error) {
	ctx, cancel := context.WithTimeout(r.Context(), storePatience)
	defer cancel()
	return i.Store.ByWebhookURL(ctx, connector, secret.New(r.PathValue("secret")))
}

// judge decides about a delivery whose connection is known.
func (i *Ingress) judge(w http.ResponseWriter, d *delivery, engine *webhook.Engine) (int, *connectors.Error) {
	ctx, cancel := context.WithTimeout(d.r.Context(), storePatience)
	defer cancel()
	secrets, err := i.configured(d, d.webhook.SecretField)
	if err != nil {
		return 0, connectors.AsError(err)
	}
	tokens, err := i.configured(d, d.webhook.TokenField)
	if err != nil {
		return 0, connectors.AsError(err)
	}
	reply, err := engine.Handshake(ctx, d.Request, secrets, tokens)
	if reply != nil || err != nil {
		return i.shake(w, d, reply, err)
	}
	if !engine.Accepts(d.Method) {
		notAllowed(w, d.webhook.AllowedMethods())
		return http.StatusMethodNotAllowed, nil
	}
	verified, err := engine.Verify(ctx, d.Request, secrets)
	if err != nil {
		return 0, i.reject(d, unverified(err))
	}
	filed := engine.Extract(d.Request)
	message := i.message(d, filed, verified)
	if err := fits(d); err != nil {
		return 0, i.setAside(ctx, d, message, quarantineSchema, err)
	}
	if err := receives(d.conn); err != nil {
		return 0, i.setAside(ctx, d, message, quarantineDisabled, connectors.AsError(err))
	}
	return i.store(ctx, w, d, message)
}

// fits checks the document of a delivery, where the connector says what it has
// to be like: the body, or the field of a form that holds it.
func fits(d *delivery) *connectors.Error {
	if d.webhook.Schema == nil {
		return nil
	}
	document := d.Body
	if kind, _, err := mime.ParseMediaType(d.Header.Get("Content-Type")); d.webhook.Payload != "" && err == nil && kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(d.Body))
		if err != nil {
			form = nil
		}
		document = []byte(form.Get(d.webhook.Payload))
	}
	_, wrong := d.webhook.Schema.Validate(document)
	if wrong == nil {
		return nil
	}
	e := connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the delivery is not what %s says it sends", d.conn.Connector)
	e.Errors = wrong
	return e
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
	s, err := i.Store.OpenConfigField(d.conn, field)
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
	_, rejected := errors.AsType[*webhook.Rejection](err)
	switch {
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

// shake answers a handshake; it emits no event.
func (i *Ingress) shake(w http.ResponseWriter, d *delivery, reply *webhook.Reply, err error) (int, *connectors.Error) {
	if err != nil {
		return 0, i.reject(d, unverified(err))
	}
	if !reply.Capture.IsZero() || reply.Visit != "" {
		return 0, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "this handshake is not supported for a connection's own URL")
	}
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body)
	return reply.Status, nil
}

// knownName keeps names that strangers make up out of the metrics' labels.
func (i *Ingress) knownName(connector string) string {
	if _, err := i.Definitions.Get(connector); err != nil {
		return "unknown"
	}
	return connector
}
