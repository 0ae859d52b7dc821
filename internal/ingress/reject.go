package ingress

import (
	"context"
	"errors"
	"net/http"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// distrust refuses a delivery that did not verify, and leaves evidence of it.
func (i *Ingress) distrust(ctx context.Context, d *delivery, e *connectors.Error) *connectors.Error {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		reason := quarantineReason(rejection)
		left := d.evidence(reason, e.Code)
		left.Detail, left.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
		i.testify(ctx, left, d.Request, reason == quarantineSignature && rejection.Handshake == "")
	}
	return i.reject(ctx, d, e)
}

// setAside keeps a genuine delivery for a connection that does not take it now;
// a repetition of it is not kept again. The provider gets a success, since it can
// be driven again; 503 if it could not be kept.
func (i *Ingress) setAside(ctx context.Context, d *delivery, m *message, e *connectors.Error) (receipt, *connectors.Error) {
	kept := d.evidence(quarantineDisabled, e.Code)
	id := ""
	if m.unique {
		id = "parked/" + m.subject
	}
	duplicate, refusal := i.recent.once(id, func() (bool, *connectors.Error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
		defer cancel()
		return i.park(ctx, kept, d.Request, id)
	})
	if refusal != nil {
		return receipt{}, refusal
	}
	if !duplicate {
		i.reject(ctx, d, e)
	}
	return receipt{ID: kept.ID, Duplicate: duplicate, Quarantined: true}, nil
}

// reject notes a refused delivery: the connection is known, so its owner should
// learn of it. What strangers can cause is bounded.
func (i *Ingress) reject(ctx context.Context, d *delivery, e *connectors.Error) *connectors.Error {
	if e.Code.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	reason := reasonOf(e)
	i.Status.Webhook(d.conn.Ref(), string(e.Code))
	i.metrics.rejections.WithLabelValues(d.conn.Connector, reason).Inc()
	i.log.Info().Str("connector", d.conn.Connector).Str("connection_id", d.conn.ID).Str("code", string(e.Code)).Str("reason", reason).
		Str("trace_id", events.TraceID(ctx)).Msg("webhook rejected")
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok && rejection.Handshake != "" {
		return e // handshakes emit no event
	}
	if i.rejections.Allow() {
		i.announce(ctx, d, e)
	}
	return e
}

// writeRefusal answers a delivery or handshake that was refused.
func writeRefusal(w http.ResponseWriter, e *connectors.Error) {
	rejection, ok := errors.AsType[*webhook.Rejection](e.Cause)
	if !ok || !rejection.Bare {
		writeProblem(w, e)
		return
	}
	note(w, e)
	w.WriteHeader(e.Code.HTTPStatus())
}

// reasonOf is why a delivery was refused, in a word.
func reasonOf(e *connectors.Error) string {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		return string(rejection.Reason)
	}
	switch e.Code {
	case connectors.CodeConnectorDisabled:
		return quarantineDisabled
	default:
		return "other"
	}
}

// announce emits webhook.rejected, without waiting for it.
func (i *Ingress) announce(ctx context.Context, d *delivery, e *connectors.Error) {
	verified := reasonOf(e) == quarantineDisabled
	event := events.NewLifecycle("ingress", events.WebhookRejected, d.conn.About(), events.Data{
		Method: d.Method, Path: d.path, Verified: &verified, ErrorCode: string(e.Code), ErrorMessage: e.Message,
	})
	subject := i.Bus.Event(d.conn.Ref().Tenant, d.conn.Connector, events.WebhookRejected)
	if _, err := i.Bus.PublishAsync(ctx, subject, event, nil); err != nil {
		i.log.Warn().Err(err).Msg("webhook.rejected not announced")
	}
}

// maskedSegment stands for the secret of a webhook's URL.
const maskedSegment = "/***"

func (i *Ingress) maskedPath(connector string) string {
	return i.appPath(connector) + maskedSegment
}
