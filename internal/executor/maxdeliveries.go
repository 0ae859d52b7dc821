package executor

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// maxDeliveries ends messages that their consumer has delivered as often as it may. The
// server says so in an advisory, and delivers them no more.
type maxDeliveries struct {
	queue    *queue.Queue
	actions  *actions
	webhooks *webhooks
}

func (m *maxDeliveries) handle(ctx context.Context, message *events.StoredMessage) error {
	var advisory struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"stream_seq"`
	}
	if err := json.Unmarshal(message.Data, &advisory); err != nil {
		return events.Discard(err)
	}
	stream := events.Actions
	switch advisory.Stream {
	case m.queue.Bus.Subjects.StreamName(events.Webhooks):
		stream = events.Webhooks
	case m.queue.Bus.Subjects.StreamName(queue.Parked):
		stream = queue.Parked
	}
	undelivered, err := m.queue.Streams.Message(ctx, stream, advisory.Sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if stream == events.Webhooks {
		return m.endWebhook(ctx, undelivered)
	}
	if err := m.end(ctx, undelivered); err != nil {
		return err
	}
	return m.queue.Streams.Remove(ctx, stream, advisory.Sequence)
}

// end ends a request or a parked webhook. A timer needs nothing: the next webhook of its
// connection sets it again.
func (m *maxDeliveries) end(ctx context.Context, message *events.StoredMessage) error {
	if _, err := m.queue.Subjects.ParseInactivity(message.Subject); err == nil {
		return nil
	}
	webhook, err := m.queue.DueWebhook(ctx, message)
	switch {
	case err == nil:
		return m.endWebhook(ctx, webhook)
	case errors.Is(err, events.ErrNotFound):
		return nil // its retention is over
	case !errors.Is(err, events.ErrSubject):
		return err
	}
	t, err := readTask(m.queue.Subjects, message)
	if err != nil {
		return m.actions.quarantine.store(ctx, message, err)
	}
	t.redelivered = true
	return m.actions.fail(ctx, t, connectors.AsError(errAttemptsUsedUp), true)
}

func (m *maxDeliveries) endWebhook(ctx context.Context, webhook *events.StoredMessage) error {
	t, err := m.webhooks.read(webhook)
	if err != nil {
		return events.Discard(err)
	}
	if t.connector.Webhook == nil || t.connector.Webhook.Handler == nil {
		return nil
	}
	return m.webhooks.fail(ctx, t, connectors.Errorf(connectors.CodeConnectorActionFailed,
		"every executor that worked on this webhook ended before its handler returned, again and again; no further attempt is made"))
}
