package executor

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// advisories is the backstop: the server's notice that it has stopped handing a
// message out, because executors died over it again and again.
func (x *Executor) advisories() events.Consumer {
	return events.Consumer{
		Name: "ran-out", Stream: events.Advisories, Filter: "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
		Description: "messages whose deliveries ran out", Most: 4, OnError: x.problem,
	}
}

func (x *Executor) ranOut(ctx context.Context, d *events.Delivery) error {
	var notice struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"stream_seq"`
	}
	if err := json.Unmarshal(d.Data, &notice); err != nil {
		return events.Discard(err)
	}
	if notice.Stream == x.Bus.Stream(events.Webhooks) {
		return x.webhookRanOut(ctx, notice.Sequence)
	}
	stream := events.Actions
	if notice.Stream == x.Bus.Stream(events.Parked) {
		stream = events.Parked
	}
	message, err := x.Bus.Message(ctx, stream, notice.Sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := x.buryWaiting(ctx, message); err != nil {
		return err
	}
	return x.Bus.Remove(ctx, stream, notice.Sequence)
}

// webhookRanOut gives up on a webhook's handler. The webhook itself stays: its
// stream is no queue, and others read it.
func (x *Executor) webhookRanOut(ctx context.Context, sequence uint64) error {
	message, err := x.Bus.Message(ctx, events.Webhooks, sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return x.buryRanOut(ctx, message)
}

// buryWaiting gives up on what a queue holds: a request, a webhook whose handler
// was to be called again, or a timer, which nobody misses.
func (x *Executor) buryWaiting(ctx context.Context, d *events.Delivery) error {
	if _, _, _, err := x.Bus.ParseSilence(d.Subject); err == nil {
		return nil
	}
	webhook, err := x.Bus.DueWebhook(ctx, d)
	switch {
	case errors.Is(err, events.ErrSubject):
		return x.buryUnread(ctx, d)
	case errors.Is(err, events.ErrNotFound):
		return nil // its retention is over
	case err != nil:
		return err
	}
	return x.buryRanOut(ctx, webhook)
}

// buryUnread gives up on a request without looking further into it than to whom
// the answer goes.
func (x *Executor) buryUnread(ctx context.Context, d *events.Delivery) error {
	request, malformed := x.Bus.ReadAction(d)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		return x.keepEvidence(ctx, d, malformed)
	}
	j := x.job(request, d)
	if done, err := j.answered(ctx); done || err != nil {
		return err
	}
	return j.giveUp(ctx, connectors.AsError(errUsedUp))
}
