package receive

import (
	"context"
	"errors"
	"net/http"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	// A URL that belongs to no connection costs a read of the store. Above this rate
	// only URLs that were used lately are looked up, so that guesses do not slow down
	// the connections that are called regularly.
	unknownURLsPerSecond = 50
	unknownURLsBurst     = 500
)

// delivery is a call of a provider, on its way to a connection.
type delivery struct {
	webhook.Request
	id string // of the event that it becomes, or of the evidence
	// redrivenFrom is the id of the evidence that the delivery was sealed in; "" if it
	// comes from the provider.
	redrivenFrom string
	conn         *records.Connection
	def          *connectors.Connector
	path         string // as it was called, the secret masked
}

// receive is the path of a provider's webhook for one connection:
//
//	connection by the SHA-256 of the URL's secret → size cap → handshake? →
//	signature over the raw bytes → publish, wait for the ack → 2xx
//
// Nothing else is on it. A refusal says as little as its code.
func (v *Receiver) receive(w http.ResponseWriter, r *http.Request, connector string) (outcome, *connectors.Error) {
	def, err := v.definitions.Get(connector)
	if err != nil {
		return "", connectors.AsError(err)
	}
	engine, err := v.engines.of(def)
	if err != nil {
		return "", connectors.AsError(err)
	}
	conn, err := v.connectionByURL(r, connector)
	if err != nil {
		return "", unverified(err)
	}
	d := &delivery{id: requestID(w), conn: conn, def: def, path: v.urls.masked(connector)}
	d.Method = r.Method
	body, release, err := v.bodies.read(w, r, def.Webhook.BodyLimit())
	if err != nil {
		return "", v.deliveries.rejections.record(r.Context(), d, connectors.AsError(err))
	}
	defer release()
	d.Request = v.urls.request(r, body)
	return v.verify(w, r, d, engine)
}

// requestIDHeader is set in every response before it is handled.
const requestIDHeader = "X-Request-Id"

// requestID is the id of the request that w answers. The event or evidence that the
// request leaves has the same id.
func requestID(w http.ResponseWriter) string { return w.Header().Get(requestIDHeader) }

// connectionByURL returns the connection that the URL belongs to.
func (v *Receiver) connectionByURL(r *http.Request, connector string) (*records.Connection, error) {
	url := secret.New(r.PathValue("secret"))
	if v.unknownURLs.Tokens() < 1 && !v.connections.IsWebhookURLCached(url) {
		return nil, problem.RateLimited("too many calls of URLs that belong to no connection")
	}
	// A sender that has closed its side may still read the answer.
	conn, err := v.connections.ByWebhookURL(context.WithoutCancel(r.Context()), connector, url)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorWebhookVerificationFailed}) {
		v.unknownURLs.Allow()
	}
	return conn, err
}

// verify verifies a delivery whose connection is known, and delivers it. That it is
// genuine comes first: others learn nothing of the connection.
func (v *Receiver) verify(w http.ResponseWriter, r *http.Request, d *delivery, engine *webhook.Engine) (outcome, *connectors.Error) {
	ctx, cancel := v.deliveries.withTimeout(r.Context(), d.Body)
	defer cancel()
	secrets, err := v.secrets.signing(ctx, d)
	if err != nil {
		return "", connectors.AsError(err)
	}
	tokens, err := v.secrets.verifyTokens(ctx, d)
	if err != nil {
		return "", connectors.AsError(err)
	}
	reply, err := engine.Handshake(ctx, d.Request, secrets, tokens)
	if err != nil {
		return "", v.deliveries.rejectUnverified(ctx, d, unverified(err))
	}
	if reply != nil {
		return outcomeHandshake, v.handshakes.answer(r.Context(), w, d.def, d.conn, reply)
	}
	if !engine.Accepts(d.Method) {
		problem.MethodNotAllowed(w, d.def.Webhook.AllowedMethods())
		return outcomeOther, nil
	}
	verified, err := engine.Verify(ctx, d.Request, secrets)
	if err != nil {
		return "", v.deliveries.rejectUnverified(ctx, d, unverified(err))
	}
	if receivable(d.conn) == nil {
		if refusal := engine.CheckPayload(d.Request); refusal != nil {
			v.deliveries.quarantine.recordRejection(ctx, d.evidence(quarantineSchema, refusal.Code), d.Request, true)
			return "", v.deliveries.rejections.record(ctx, d, refusal)
		}
	}
	receipt, refusal := v.deliveries.deliver(ctx, d, v.deliveries.publisher.message(d, engine.Extract(d.Request), verified))
	if refusal != nil {
		return "", refusal
	}
	return answer(w, &d.def.Webhook.Answer, receipt), nil
}

// receivable is nil if deliveries for the connection are accepted. A connection whose
// tokens the provider refuses is still the one that the provider calls.
func receivable(conn *records.Connection) error {
	if conn.State == records.NeedsReauth {
		return nil
	}
	return conn.Usable()
}
