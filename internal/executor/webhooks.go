package executor

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// webhooks publishes the notification of each stored webhook and runs the connector's
// handler, if it has one:
//
//	webhook.received → handler → done: webhook.processed
//	                     │ failed, attempts left: parked, delivered again when it is due
//	                     └ failed for good: dead letter, webhook.failed
//
// It reads the stream, so that a provider's request costs one write, and a crash loses no
// webhook that was acknowledged.
type webhooks struct {
	queue      *queue.Queue
	served     served
	runner     *webhookRunner
	inactivity *inactivity
	status     *records.StatusWriter
	lifecycle  *lifecycle
	telemetry  *telemetry
}

// webhookTask is one attempt at a stored webhook.
type webhookTask struct {
	connector  *connectors.Connector
	webhook    *events.StoredMessage // as the stream holds it
	event      events.Event
	about      events.EventContext
	attempt    int    // this one, from 1
	deliveries int    // of the message that led to the attempt
	message    string // names the message that led to the attempt
	began      time.Time
}

func (t *webhookTask) ref() records.Ref {
	return records.NewRef(t.about.Tenant, t.about.Connector, t.about.Account)
}

func (t *webhookTask) hasHandler() bool {
	return t.connector.Webhook != nil && t.connector.Webhook.Handler != nil
}

// read makes the task of a stored webhook. The error says that it cannot be read.
func (w *webhooks) read(webhook *events.StoredMessage) (*webhookTask, error) {
	ref, err := w.queue.Bus.Subjects.ParseWebhook(webhook.Subject)
	if err != nil {
		return nil, err
	}
	event, err := events.Decode(webhook.Header, webhook.Data)
	if err != nil {
		return nil, err
	}
	definition, ok := w.served.get(ref.Connector)
	if !ok {
		definition = &connectors.Connector{Key: ref.Connector}
	}
	return &webhookTask{
		connector: definition, webhook: webhook, event: event, attempt: webhook.NumDelivered, deliveries: webhook.NumDelivered, began: time.Now(),
		message: webhook.Subject + "/" + strconv.FormatUint(webhook.Sequence, 10),
		about: events.EventContext{
			Tenant: ref.Tenant, Connector: ref.Connector, Account: events.Extension(event, events.ExtAccount),
			ConnectionID: events.Extension(event, events.ExtConnection), RequestID: event.ID(),
		},
	}, nil
}

// received handles a webhook that was stored.
func (w *webhooks) received(ctx context.Context, webhook *events.StoredMessage) error {
	t, err := w.read(webhook)
	if err != nil {
		return events.Discard(err)
	}
	ctx = events.WithTrace(ctx, webhook.Header)
	w.notifyReceived(ctx, t)
	if err := w.inactivity.received(ctx, t.ref()); err != nil {
		return err
	}
	return w.handle(ctx, t)
}

// notifyReceived publishes webhook.received, under an id that is derived from the
// webhook's: the stream drops what a redelivered message publishes again.
func (w *webhooks) notifyReceived(ctx context.Context, t *webhookTask) {
	verified := events.Extension(t.event, events.ExtVerified) != "false"
	w.lifecycle.notify(ctx, lifecycleEvent{
		kind: events.WebhookReceived, about: t.about, id: events.DerivedID(t.event.ID(), "received"),
		data: events.Data{
			Method: events.Extension(t.event, events.ExtMethod), Path: events.Extension(t.event, events.ExtPath), Verified: &verified,
		},
	})
}

// due handles a webhook that was parked and is due, or that was redriven.
func (w *webhooks) due(ctx context.Context, message *events.StoredMessage) error {
	webhook, err := w.queue.DueWebhook(ctx, message)
	if errors.Is(err, events.ErrNotFound) || errors.Is(err, events.ErrSubject) {
		return events.Discard(err) // its retention is over
	}
	if err != nil {
		return err
	}
	t, err := w.read(webhook)
	if err != nil {
		return events.Discard(err)
	}
	t.attempt, t.deliveries = queue.Attempts(message)+message.NumDelivered, message.NumDelivered
	t.message = message.Subject + "/" + strconv.FormatUint(message.Sequence, 10)
	return w.handle(events.WithTrace(ctx, webhook.Header), t)
}

// handle runs the handler, if the connector has one, and returns nil when the outcome is
// stored.
func (w *webhooks) handle(ctx context.Context, t *webhookTask) error {
	if !t.hasHandler() {
		w.status.Webhook(t.ref(), "")
		return nil
	}
	ctx = events.EnsureTrace(ctx)
	if t.deliveries > mostDeliveries {
		return w.conclude(ctx, t, connectors.Permanent(errAttemptsUsedUp))
	}
	return w.conclude(ctx, t, w.runner.run(ctx, t))
}

// conclude stores the outcome of an attempt.
func (w *webhooks) conclude(ctx context.Context, t *webhookTask, failure error) error {
	if failure == nil {
		return w.finish(ctx, t, events.WebhookProcessed, nil)
	}
	e := connectors.AsError(failure)
	if e.Code == connectors.CodeConnectorDatabaseFailed && connectors.IsRetryable(failure) {
		return failure // a store of ours: no attempt
	}
	if connectors.IsRetryable(failure) && t.attempt < t.connector.Webhook.AttemptLimit() {
		next := time.Now().Add(retryDelay(failure, t.attempt))
		if err := w.queue.ParkWebhook(ctx, t.webhook, t.event.ID(), t.attempt, next); err != nil {
			return err
		}
		w.status.Webhook(t.ref(), string(e.Code))
		w.telemetry.webhooks.WithLabelValues(t.connector.Key, "retrying").Inc()
		w.line(ctx, zerolog.InfoLevel, t).Str("outcome", "retrying").Str("code", string(e.Code)).Time("next", next).Msg("webhook")
		return nil
	}
	if err := w.queue.DeadLetterWebhook(ctx, t.webhook, t.event.ID(), t.attempt, string(e.Code)); err != nil {
		return err
	}
	w.telemetry.dead.Inc()
	return w.finish(ctx, t, events.WebhookFailed, e)
}

// finish stores the final event. A repetition after a crash has the same id.
func (w *webhooks) finish(ctx context.Context, t *webhookTask, kind events.Kind, e *connectors.Error) error {
	took := time.Since(t.began)
	data := events.Data{
		Method: events.Extension(t.event, events.ExtMethod), Path: events.Extension(t.event, events.ExtPath),
		Attempt: t.attempt, DurationMs: events.Milliseconds(took),
	}
	outcome, code, level := "processed", "", zerolog.InfoLevel
	if e != nil {
		outcome, code, level = "failed", string(e.Code), zerolog.WarnLevel
		data.ErrorCode, data.ErrorMessage = code, e.Message
	}
	id := events.DerivedID(t.event.ID(), string(kind)+"/"+t.message)
	if err := w.lifecycle.store(ctx, lifecycleEvent{kind: kind, about: t.about, data: data, id: id}); err != nil {
		return err
	}
	w.status.Webhook(t.ref(), code)
	w.telemetry.webhooks.WithLabelValues(t.connector.Key, outcome).Inc()
	w.line(ctx, level, t).Str("outcome", outcome).Str("code", code).Dur("ms", took).Msg("webhook")
	return nil
}

func (w *webhooks) line(ctx context.Context, level zerolog.Level, t *webhookTask) *zerolog.Event {
	return w.telemetry.log.WithLevel(level).Str("webhook_id", t.event.ID()).Str("trace_id", events.TraceID(ctx)).
		Str("connector", t.connector.Key).Int("attempt", t.attempt)
}
