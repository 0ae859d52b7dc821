package receive

import (
	"context"
	"errors"
	"net/http"
	"time"

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

// record records a refused delivery, and returns err. Failures of our own are no
// rejections. Of a call of an app's URL the connection is unknown, so that there is
// no event.
func (j *rejections) record(ctx context.Context, d *delivery, err error) error {
	e := connectors.AsError(err)
	if e.Code.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	reason := "other"
	rejection, unverified := errors.AsType[*webhook.Rejection](e.Cause)
	switch {
	case unverified:
		reason = string(rejection.Reason)
	case e.Code == connectors.CodeConnectorDisabled:
		reason = quarantineDisabled
	case e.Code == connectors.CodeConnectorQuotaExceeded:
		reason = "quota"
	}
	if d.conn == nil {
		if unverified {
			j.metrics.rejections.WithLabelValues(d.def.Key, reason).Inc()
		}
		return e
	}
	j.metrics.rejections.WithLabelValues(d.def.Key, reason).Inc()
	j.status.Webhook(d.conn.Ref(), string(e.Code))
	j.log.Info().Str("connector", d.conn.Connector).Str("connection_id", d.conn.ID).Str("code", string(e.Code)).Str("reason", reason).
		Str("trace_id", events.TraceID(ctx)).Msg("webhook rejected")
	if handshake := unverified && rejection.Handshake != ""; !handshake && j.events.Allow() {
		j.publish(ctx, d, e)
	}
	return e
}

// publish sends webhook.rejected, and does not wait for the stream's ack.
func (j *rejections) publish(ctx context.Context, d *delivery, e *connectors.Error) {
	verified := e.Code == connectors.CodeConnectorDisabled || e.Code == connectors.CodeConnectorQuotaExceeded
	event := events.NewLifecycle("ingress", events.WebhookRejected, d.conn.About(), events.Data{
		Method: d.Method, Path: d.path, Verified: &verified, ErrorCode: string(e.Code), ErrorMessage: e.Message,
	})
	subject := j.bus.Subjects.Event(d.conn.Ref().Tenant, d.conn.Connector, events.WebhookRejected)
	if _, err := j.bus.PublishAsync(ctx, subject, event, nil); err != nil {
		j.log.Warn().Err(err).Msg("webhook.rejected not published")
	}
}

// logTime says how far the clocks are apart: a wrong one makes all deliveries fail.
func (j *rejections) logTime(ctx context.Context, d *delivery, r *webhook.Rejection) {
	j.log.Warn().Str("connector", d.def.Key).Str("reason", string(r.Reason)).Dur("behind_ms", r.Skew).Str("trace_id", events.TraceID(ctx)).
		Msgf("a webhook was refused because of its time: that is %s behind this machine's clock (negative: ahead); if the next ones are too, set the clock", r.Skew.Round(time.Second))
}

// rejectUnverified refuses a delivery that did not verify, and stores evidence of it.
func (v *Receiver) rejectUnverified(ctx context.Context, d *delivery, err error) error {
	e := unverified(err)
	if rejection, ok := errors.AsType[*webhook.Rejection](err); ok {
		evidence := d.evidence(quarantineSignature, e.Code)
		if rejection.Reason == webhook.ReasonStale || rejection.Reason == webhook.ReasonFuture {
			evidence.Reason = quarantineStale
			v.rejections.logTime(ctx, d, rejection)
		}
		evidence.Detail, evidence.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
		// An app's URL is not secret: anybody can call it, so that no body is stored.
		sealed := d.conn != nil && evidence.Reason == quarantineSignature && rejection.Handshake == ""
		v.quarantine.recordRejection(ctx, evidence, d.Request, sealed)
	}
	return v.rejections.record(ctx, d, e)
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
		e = connectors.Errorf(connectors.CodeConnectorUnavailable, "the provider's keys could not be fetched; try again")
	default:
		return e
	}
	e.Cause = err
	return e
}

// writeRefusal answers a delivery or handshake that was refused.
func writeRefusal(w http.ResponseWriter, e *connectors.Error) {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok && rejection.NoBody {
		problem.RecordCode(w, e)
		w.WriteHeader(e.Code.HTTPStatus())
		return
	}
	problem.Write(w, e)
}
