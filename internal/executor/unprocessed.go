package executor

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// unprocessed ends messages that no consumer will process: it stores the result of a
// request, and the dead letter of a request or webhook.
type unprocessed struct {
	queue    *queue.Queue
	actions  *actions
	webhooks *webhooks
}

// maxDeliveries handles the server's advisory about a message that its consumer has
// delivered as often as it may.
func (u *unprocessed) maxDeliveries(ctx context.Context, message *events.StoredMessage) error {
	var advisory struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"stream_seq"`
	}
	if err := json.Unmarshal(message.Data, &advisory); err != nil {
		return events.Discard(err)
	}
	stream := events.Actions
	for _, s := range []events.Stream{events.Webhooks, queue.Parked} {
		if advisory.Stream == u.queue.Bus.Subjects.StreamName(s) {
			stream = s
		}
	}
	undelivered, err := u.queue.Streams.Message(ctx, stream, advisory.Sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := u.end(ctx, undelivered, errAttemptsUsedUp); err != nil || stream == events.Webhooks {
		return err // the stream of webhooks is no queue
	}
	return u.queue.Streams.Remove(ctx, stream, advisory.Sequence)
}

// end ends a message for the reason given. An inactivity timer needs nothing: the next
// webhook of its connection sets it again.
func (u *unprocessed) end(ctx context.Context, message *events.StoredMessage, reason error) error {
	if _, err := u.queue.Subjects.ParseInactivity(message.Subject); err == nil {
		return nil
	}
	if _, err := u.queue.Subjects.ParseWebhook(message.Subject); err == nil {
		return u.endWebhook(ctx, message, reason)
	}
	t, err := readTask(u.queue.Subjects, message)
	if err != nil {
		return u.actions.quarantine.store(ctx, message, err)
	}
	e := connectors.AsError(reason)
	again := reason == errAttemptsUsedUp || t.request.Attempt > 0 || e.Code == connectors.CodeConnectorUnavailable
	if reason != errAttemptsUsedUp {
		message.NumDelivered = 0 // no executor has it, so no delivery was an attempt
	}
	// A result that is newer than the message may lack its event.
	result, err := u.queue.Streams.First(ctx, events.Results, 1, u.queue.Bus.Subjects.ResultOf(t.reference))
	if err != nil && !errors.Is(err, events.ErrNotFound) {
		return err
	}
	t.redelivered = err == nil && result.Stored.After(message.Stored)
	// A request that was attempted, or whose executor is missing, may be wanted again later.
	return u.actions.fail(ctx, t, e, again)
}

func (u *unprocessed) endWebhook(ctx context.Context, message *events.StoredMessage, reason error) error {
	webhook := message
	if _, err := u.queue.Bus.Subjects.ParseWebhook(message.Subject); err != nil {
		if webhook, err = u.queue.DueWebhook(ctx, message); errors.Is(err, events.ErrNotFound) {
			return nil // its retention is over
		} else if err != nil {
			return err
		}
	}
	t, err := u.webhooks.read(webhook)
	if err != nil {
		return u.actions.quarantine.store(ctx, webhook, err)
	}
	if reason == errAttemptsUsedUp && !t.hasHandler() {
		return nil
	}
	t.attempt = max(queue.Attempts(message), 1)
	return u.webhooks.conclude(ctx, t, connectors.Permanent(reason))
}
