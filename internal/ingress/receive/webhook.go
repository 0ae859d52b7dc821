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

// delivery is a provider's webhook delivery.
type delivery struct {
	webhook.Request
	id   string // of the event that it becomes, or of the evidence
	path string // as it was called, the secret masked
	// redrivenFrom is the id of the evidence that the delivery was sealed in; "" if it
	// comes from the provider.
	redrivenFrom string
	def          *connectors.Connector
	engine       *webhook.Engine
	conn         *records.Connection // nil: the URL is an app's
	extracted    webhook.Metadata    // once it is verified
	verified     webhook.Verified
}

// receive is the path of a provider's webhook for one connection:
//
//	connection by the SHA-256 of the URL's secret → size cap → handshake? →
//	signature over the raw bytes → publish, wait for the ack → 2xx
//
// Nothing else is on it. A refusal says as little as its code.
func (v *Receiver) receive(w http.ResponseWriter, r *http.Request) (outcome, error) {
	d, err := v.newDelivery(w, r)
	if err != nil {
		return "", err
	}
	if d.conn, err = v.connectionByURL(r, d.def.Key); err != nil {
		return "", unverified(err)
	}
	d.path += maskedSegment
	return v.accept(w, r, d, func(ctx context.Context) (signing, tokens []secret.Text, err error) {
		return v.secrets.ofConnection(ctx, d)
	})
}

func (v *Receiver) newDelivery(w http.ResponseWriter, r *http.Request) (*delivery, error) {
	def, err := v.service.Connector(r.PathValue("connector"))
	if err != nil {
		return nil, err
	}
	engine, err := v.engines.of(def)
	if err != nil {
		return nil, err
	}
	d := &delivery{id: requestID(w), path: v.urls.webhookPath(def.Key), def: def, engine: engine}
	d.Method = r.Method
	return d, nil
}

// requestID is the id of the request that w answers. The event or evidence that the
// request leaves has the same id.
func requestID(w http.ResponseWriter) string { return w.Header().Get(problem.RequestIDHeader) }

const (
	// A URL without a MAC that belongs to no connection costs a read of the store. Above
	// this rate only those that were used lately are looked up, so that guesses do not
	// slow down the others. A URL with a MAC that is not ours costs nothing.
	unknownURLsPerSecond = 50
	unknownURLsBurst     = 500
)

// connectionByURL returns the connection that the URL belongs to.
func (v *Receiver) connectionByURL(r *http.Request, connector string) (*records.Connection, error) {
	url := secret.New(r.PathValue("secret"))
	switch v.connections.WebhookURLOrigin(url) {
	case records.URLForged:
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "this webhook URL was not made here")
	case records.URLUnsigned:
		if v.unknownURLs.Tokens() < 1 && !v.connections.IsWebhookURLCached(url) {
			return nil, problem.RateLimited("too many calls of URLs that belong to no connection")
		}
	}
	// A sender that has closed its side may still read the answer.
	conn, err := v.connections.ByWebhookURL(context.WithoutCancel(r.Context()), connector, url)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorWebhookVerificationFailed}) {
		v.unknownURLs.Allow()
	}
	return conn, err
}

// accept reads, verifies and delivers a delivery, or answers a handshake. That the
// sender is the provider is checked first: others learn nothing of the connection.
// secrets returns what deliveries and handshakes are verified with.
func (v *Receiver) accept(w http.ResponseWriter, r *http.Request, d *delivery, secrets func(context.Context) (signing, tokens []secret.Text, err error)) (outcome, error) {
	body, release, err := v.bodies.read(w, r, d.def.Webhook.BodyLimit(), d.owner())
	if err != nil {
		return "", v.rejections.record(r.Context(), d, err)
	}
	defer release()
	d.Request = v.urls.request(r, body)
	ctx, cancel := v.deliverer.withTimeout(r.Context(), body)
	defer cancel()
	signing, tokens, err := secrets(ctx)
	if err != nil {
		return "", err
	}
	reply, err := d.engine.Handshake(ctx, d.Request, signing, tokens)
	if err != nil {
		return "", v.rejectUnverified(ctx, d, err)
	}
	if reply != nil {
		return outcomeHandshake, v.handshakes.answer(r, w, d, reply)
	}
	if !d.engine.Accepts(d.Method) {
		problem.MethodNotAllowed(w, d.def.Webhook.AllowedMethods())
		return outcomeOther, nil
	}
	if d.verified, err = d.engine.Verify(ctx, d.Request, signing); err != nil {
		return "", v.rejectUnverified(ctx, d, err)
	}
	if d.conn == nil || receivable(d.conn) == nil {
		if refusal := d.engine.CheckPayload(d.Request); refusal != nil {
			v.quarantine.recordRejection(ctx, d.evidence(quarantineSchema, refusal.Code), d.Request, true)
			return "", v.rejections.record(ctx, d, refusal)
		}
	}
	d.extracted = d.engine.Extract(d.Request)
	receipt, err := v.deliverer.deliver(ctx, d)
	if err != nil {
		return "", err
	}
	return answer(w, &d.def.Webhook.Answer, receipt), nil
}

// owner is the connection or the app whose URL was called.
func (d *delivery) owner() string {
	if d.conn != nil {
		return d.conn.Ref().Key()
	}
	return d.def.Key
}

// receivable is nil if deliveries for the connection are accepted. A connection whose
// tokens the provider refuses is still the one that the provider calls.
func receivable(conn *records.Connection) error {
	if conn.State == records.NeedsReauth {
		return nil
	}
	return conn.Usable()
}
