package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// actions works on action requests: from the message to its ack.
type actions struct {
	subjects   queue.Subjects
	resolver   *resolver
	attempts   *attempts
	results    *results
	outcomes   *outcomes
	quarantine *quarantine
	telemetry  *telemetry
	running    singleFlight
}

// handler returns what a consumer calls for each message. It returns nil once the request
// has its result, or is parked; after any other error the message is delivered again.
// What has to be stored about work that was done is stored before lastWrites ends.
func (a *actions) handler(lastWrites context.Context, admit admission) func(context.Context, *events.StoredMessage) error {
	return func(ctx context.Context, message *events.StoredMessage) error {
		t, err := readTask(a.subjects, message)
		if err != nil {
			if err := a.quarantine.store(ctx, message, err); err != nil {
				return err
			}
			return events.Discard(err)
		}
		if t.redelivered {
			a.telemetry.redeliveries.Inc()
		}
		ctx = events.EnsureTrace(events.WithTrace(ctx, message.Header))
		last := events.SameTrace(lastWrites, ctx)
		return a.running.do(t, func() (int, error) { return a.work(ctx, last, t, admit) })
	}
}

func (a *actions) work(ctx, last context.Context, t *task, admit admission) (attempts int, err error) {
	exists, err := a.results.exists(last, t)
	if err == nil && !exists && t.request.EventPending { // of the attempt before
		err = a.outcomes.retrying(last, t, t.request.Attempt, events.Data{})
		t.request.EventPending = err != nil
	}
	switch {
	case err != nil:
		return a.outcomes.postpone(last, t, postponed(err))
	case exists:
		return final, nil
	case t.request.Conflict:
		return a.outcomes.finish(last, t, nil, idempotencyConflict())
	}
	output, failure := a.try(ctx, t, admit)
	return a.outcomes.conclude(last, t, output, failure)
}

// try checks the request and makes an attempt. What needs no concurrency slot is checked
// before it has one.
func (a *actions) try(ctx context.Context, t *task, admit admission) (json.RawMessage, error) {
	if t.malformed != nil {
		return nil, inputInvalid(t.malformed)
	}
	if t.message.NumDelivered > mostDeliveries {
		return nil, errAttemptsUsedUp
	}
	if err := a.resolver.resolve(ctx, t); err != nil {
		return nil, postponeUnavailable(err)
	}
	if t.expired() {
		return nil, deadlinePassed()
	}
	input, err := t.action.CheckInput(t.request.Input)
	if err != nil {
		return nil, postponeUnavailable(err)
	}
	slot, err := admit(t)
	if err != nil {
		return nil, err
	}
	defer slot.Release()
	return a.attempts.run(ctx, t, input)
}

// fail ends a request without an attempt, unless it has a result: with a dead letter, or
// if it was never attempted without one.
func (a *actions) fail(ctx context.Context, t *task, e *connectors.Error, deadLetter bool) error {
	exists, err := a.results.exists(ctx, t)
	switch {
	case errors.Is(err, errEventPending):
		_, err = a.outcomes.postpone(ctx, t, postponed(err))
	case err != nil || exists:
	case t.request.Conflict:
		_, err = a.outcomes.finish(ctx, t, nil, idempotencyConflict())
	case deadLetter:
		_, err = a.outcomes.giveUp(ctx, t, e)
	default:
		_, err = a.outcomes.finish(ctx, t, nil, e)
	}
	return err
}

// mostDeliveries bounds how often a message is worked on whose executors end each time,
// before the number of attempts is known.
const mostDeliveries = 20

// lastWritesAfter is how long after the grace period outcomes are still stored.
const lastWritesAfter = 2 * time.Second

// lastWrites returns a context that ends a moment after grace.
func lastWrites(grace context.Context) (context.Context, context.CancelFunc) {
	last, cancel := context.WithCancel(context.WithoutCancel(grace))
	stop := context.AfterFunc(grace, func() { time.AfterFunc(lastWritesAfter, cancel) })
	return last, func() { stop(); cancel() }
}
