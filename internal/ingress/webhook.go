package ingress

import (
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// receive is the path of a provider's webhook for one connection:
//
//	connection by the SHA-256 of the URL's secret → size cap → handshake? →
//	signature over the raw bytes → publish, wait for the ack → 2xx
//
// Nothing else is on it. A refusal says as little as its code.
func (i *Ingress) receive(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	connector := r.PathValue("connector")
	status, refusal := i.take(w, r, connector)
	if refusal != nil {
		writeProblem(w, refusal)
	}
	i.metrics.observeWebhook(i.knownName(connector), status, refusal, time.Since(began))
}

// take does the work. It answers a success itself, and returns a refusal.
func (i *Ingress) take(w http.ResponseWriter, r *http.Request, connector string) (status int, refusal *connectors.Error) {
	def, err := i.Definitions.Get(connector)
	if err != nil {
		return 0, asError(err)
	}
	if def.Webhook == nil {
		return 0, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", connector)
	}
	conn, err := i.Store.ByWebhookURL(r.Context(), connector, secret.New(r.PathValue("secret")))
	if err != nil {
		return 0, asError(err)
	}
	engine, err := i.engine(def)
	if err != nil {
		return 0, asError(err)
	}
	body, done, err := i.readDelivery(w, r, def.Webhook)
	if err != nil {
		return 0, i.reject(r.Context(), conn, r.Method, asError(err))
	}
	defer done()
	secrets, err := i.secrets(r.Context(), def.Webhook, conn)
	if err != nil {
		return 0, asError(err)
	}
	tokens, err := i.tokens(r.Context(), def.Webhook, conn)
	if err != nil {
		return 0, asError(err)
	}
	request := i.call(r, body)
	reply, err := engine.Handshake(r.Context(), request, secrets, tokens)
	if err != nil {
		return 0, i.distrust(r.Context(), conn, request, i.verdict(err))
	}
	if reply != nil {
		return i.shake(r.Context(), w, def, conn, reply)
	}
	if !engine.Accepts(r.Method) {
		return notAllowed(w, def.Webhook)
	}
	verified, err := engine.Verify(r.Context(), request, secrets)
	if err != nil {
		return 0, i.distrust(r.Context(), conn, request, i.verdict(err))
	}
	p := parcel{conn: conn, method: r.Method, path: i.maskedPath(connector), header: r.Header,
		body: body, delivery: engine.Extract(request), verified: verified}
	if err := conn.Usable(); err != nil {
		return i.setAside(r.Context(), w, p, request, asError(err))
	}
	if refusal := engine.CheckPayload(request); refusal != nil {
		i.note(r.Context(), newEvidence(quarantineSchema, refusal.Code, connector, p.path, conn, request), request, true)
		return 0, i.reject(r.Context(), conn, r.Method, refusal)
	}
	return i.store(w, r, p)
}

// verdict hides the reason from the caller, and keeps it for the metric and log.
func (i *Ingress) verdict(err error) *connectors.Error {
	if errors.Is(err, webhook.ErrKeysUnavailable) {
		e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the provider's keys cannot be had now; try again")
		e.Cause = err
		return e
	}
	e := connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "the signature of the delivery could not be verified")
	e.Cause = err
	return e
}

// store deposits the delivery and answers when the stream has it.
func (i *Ingress) store(w http.ResponseWriter, r *http.Request, p parcel) (int, *connectors.Error) {
	receipt, refusal := i.deposit(r.Context(), p)
	if refusal != nil {
		return 0, refusal
	}
	status := http.StatusAccepted
	if receipt.Duplicate {
		status = http.StatusOK
	}
	writeJSON(w, status, "application/json", receipt)
	return status, nil
}

// distrust refuses a delivery that did not verify, and leaves evidence of it.
func (i *Ingress) distrust(ctx context.Context, conn *connection.Connection, request webhook.Request, e *connectors.Error) *connectors.Error {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		reason := quarantineReason(rejection)
		note := newEvidence(reason, e.Code, conn.Connector, i.maskedPath(conn.Connector), conn, request)
		note.Detail, note.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
		i.note(ctx, note, request, reason == quarantineSignature)
	}
	return i.reject(ctx, conn, request.Method, e)
}

// setAside keeps a genuine delivery for a connection that cannot take it now. The
// provider gets a success, since it is kept and can be driven again; 503 if not.
func (i *Ingress) setAside(ctx context.Context, w http.ResponseWriter, p parcel, request webhook.Request, e *connectors.Error) (int, *connectors.Error) {
	receipt, refusal := i.parkOnce(ctx, p, request, e)
	if refusal != nil {
		return 0, refusal
	}
	status := http.StatusAccepted
	if receipt.Duplicate {
		status = http.StatusOK
	}
	writeJSON(w, status, "application/json", receipt)
	return status, nil
}

// parkOnce parks a delivery; a repetition of it is not parked again.
func (i *Ingress) parkOnce(ctx context.Context, p parcel, request webhook.Request, e *connectors.Error) (receipt, *connectors.Error) {
	kept := newEvidence(quarantineDisabled, e.Code, p.conn.Connector, p.path, p.conn, request)
	duplicate, refusal := i.recent.once(ctx, "parked/"+p.messageID()+"/"+p.fallbackID(kept.ID), func() (bool, *connectors.Error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
		defer cancel()
		return false, i.park(ctx, kept, request)
	})
	if refusal == nil && !duplicate {
		i.reject(ctx, p.conn, p.method, e)
	}
	return receipt{ID: kept.ID, Duplicate: duplicate, Quarantined: true}, refusal
}

// reject notes a refused delivery: the connection is known, so its owner should
// learn of it. What strangers can cause is bounded.
func (i *Ingress) reject(ctx context.Context, conn *connection.Connection, method string, e *connectors.Error) *connectors.Error {
	if e.Code.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	i.Status.Webhook(conn.Ref(), string(e.Code))
	reason := "other"
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		reason = string(rejection.Reason)
	}
	i.metrics.rejections.WithLabelValues(conn.Connector, reason).Inc()
	if !i.rejections.Allow() {
		return e
	}
	no := false
	event := events.NewLifecycle("ingress", events.WebhookRejected, conn.About(), events.Data{
		Method: method, Path: i.maskedPath(conn.Connector), Verified: &no, ErrorCode: string(e.Code), ErrorMessage: e.Message,
	})
	subject := i.Bus.Event(conn.Ref().Tenant, conn.Connector, events.WebhookRejected)
	if _, err := i.Bus.PublishAsync(ctx, subject, event, nil); err != nil {
		i.log.Warn().Err(err).Msg("webhook.rejected not announced")
	}
	i.log.Info().Str("connector", conn.Connector).Str("connection_id", conn.ID).Str("reason", reason).
		Str("trace_id", events.TraceID(ctx)).Msg("webhook rejected")
	return e
}

func (i *Ingress) maskedPath(connector string) string {
	return i.opts.BasePath + "/connectors/" + connector + "/webhook/***"
}

// knownName keeps names that strangers make up out of the metrics' labels.
func (i *Ingress) knownName(connector string) string {
	if _, err := i.Definitions.Get(connector); err != nil {
		return "unknown"
	}
	return connector
}

func typeOrUnknown(t string) string {
	if t == "" {
		return "unknown"
	}
	return t
}

func contentTypeOf(h http.Header) string {
	if ct := h.Get("Content-Type"); ct != "" {
		return ct
	}
	return "application/octet-stream"
}

// Headers that are not the provider's to hand on: credentials, the connection's
// own, and those that would mean something to NATS or to CloudEvents readers.
var heldBack = map[string]bool{
	"Authorization": true, "Cookie": true, "Proxy-Authorization": true, "Connection": true, "Keep-Alive": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Expect": true,
	"Traceparent": true, "Tracestate": true, "Content-Type": true,
}

const maxKeptHeaders = 16 << 10

// keepHeaders copies the provider's headers into the message.
func keepHeaders(out events.Header, in http.Header) {
	size := 0
	for name, values := range in {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if heldBack[canonical] || strings.HasPrefix(canonical, "Nats-") || strings.HasPrefix(canonical, "Ce-") || strings.HasPrefix(canonical, "Hawser-") {
			continue
		}
		for _, v := range values {
			size += len(name) + len(v)
		}
		if size > maxKeptHeaders {
			return
		}
		out[name] = values
	}
}
