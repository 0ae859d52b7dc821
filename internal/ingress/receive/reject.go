package receive

import (
	"context"
	"errors"
	"net/http"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// rejections records the deliveries that are refused for a connection, so that its
// owner learns of them.
type rejections struct {
	bus     *events.Bus
	status  *records.StatusWriter
	events  *rate.Limiter // bounds the events: anybody can cause rejections
	metrics *metrics
	log     zerolog.Logger
}

// record records a refused delivery, and returns its refusal. Failures of our own
// are no rejections.
func (j *rejections) record(ctx context.Context, d *delivery, e *connectors.Error) *connectors.Error {
	if e.Code.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	reason := reasonOf(e)
	j.status.Webhook(d.conn.Ref(), string(e.Code))
	j.metrics.rejections.WithLabelValues(d.conn.Connector, reason).Inc()
	j.log.Info().Str("connector", d.conn.Connector).Str("connection_id", d.conn.ID).Str("code", string(e.Code)).Str("reason", reason).
		Str("trace_id", events.TraceID(ctx)).Msg("webhook rejected")
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok && rejection.Handshake != "" {
		return e // handshakes emit no event
	}
	if j.events.Allow() {
		j.publish(ctx, d, e)
	}
	return e
}

// publish sends webhook.rejected, and does not wait for the stream's ack.
func (j *rejections) publish(ctx context.Context, d *delivery, e *connectors.Error) {
	verified := reasonOf(e) == quarantineDisabled
	event := events.NewLifecycle("ingress", events.WebhookRejected, d.conn.About(), events.Data{
		Method: d.Method, Path: d.path, Verified: &verified, ErrorCode: string(e.Code), ErrorMessage: e.Message,
	})
	subject := j.bus.Subjects.Event(d.conn.Ref().Tenant, d.conn.Connector, events.WebhookRejected)
	if _, err := j.bus.PublishAsync(ctx, subject, event, nil); err != nil {
		j.log.Warn().Err(err).Msg("webhook.rejected not published")
	}
}

// unverified is the refusal of a caller that did not prove to be the provider: the
// same whether the URL, the signature or its time is wrong. The reason is its cause,
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

// writeRefusal answers a delivery or handshake that was refused.
func writeRefusal(w http.ResponseWriter, e *connectors.Error) {
	rejection, ok := errors.AsType[*webhook.Rejection](e.Cause)
	if !ok || !rejection.NoBody {
		problem.Write(w, e)
		return
	}
	problem.RecordCode(w, e)
	w.WriteHeader(e.Code.HTTPStatus())
}

// reasonOf is why a delivery was refused, in a word.
func reasonOf(e *connectors.Error) string {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		return string(rejection.Reason)
	}
	if e.Code == connectors.CodeConnectorDisabled {
		return quarantineDisabled
	}
	return "other"
}
