package executor

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// outcomes stores what an attempt led to:
//
//	output                        result
//	failure, attempts left        parked for the next attempt
//	failure, none left            dead letter, then result
//	failure that no retry helps   result
//	postponement                  parked, and no attempt counted
//
// Its methods return how many attempts were made once that is stored; see
// [singleFlight.do].
type outcomes struct {
	queue     *queue.Queue
	results   *results
	claims    *claims
	lifecycle *lifecycle
	telemetry *telemetry
}

// conclude stores the outcome of an attempt, or of the preparation for one.
func (o *outcomes) conclude(ctx context.Context, t *task, output json.RawMessage, failure error) (int, error) {
	if failure == nil {
		return o.finish(ctx, t, output, nil)
	}
	if p, ok := errors.AsType[*postponement](failure); ok {
		return o.postpone(ctx, t, p)
	}
	if failure == errAttemptsUsedUp {
		return o.giveUp(ctx, t, connectors.AsError(failure))
	}
	failure = o.claims.afterFailure(ctx, t, failure)
	e := connectors.AsError(failure)
	// An address that may not be dialled will not be allowed at the next attempt.
	if !connectors.IsRetryable(failure) || safehttp.Refused(failure) {
		return o.finish(ctx, t, nil, e)
	}
	next := time.Now().Add(retryDelay(failure, t.attempt()))
	if t.attempt() >= t.maxAttempts() || !t.request.Deadline.IsZero() && !next.Before(t.request.Deadline) {
		return o.giveUp(ctx, t, e)
	}
	attempts, err := o.retry(ctx, t, next, e)
	if errors.Is(err, events.ErrTooLarge) {
		return o.giveUp(ctx, t, e) // with the headers of a retry the request is too large
	}
	return attempts, err
}

// finish stores the result. If its event cannot be stored, the request is parked: when it
// is due, the event is published again, and the action does not run.
func (o *outcomes) finish(ctx context.Context, t *task, output json.RawMessage, e *connectors.Error) (int, error) {
	err := o.results.store(ctx, t, output, e)
	if errors.Is(err, errEventPending) {
		return o.postpone(ctx, t, postponed(err))
	}
	return final, err
}

// retry parks the request for its next attempt. The event comes first, so that it cannot
// be missing after a crash; where its stream is unavailable, the next attempt publishes
// it.
func (o *outcomes) retry(ctx context.Context, t *task, next time.Time, e *connectors.Error) (int, error) {
	request := t.request
	request.Attempt = t.attempt()
	took, utc := time.Since(t.began), next.UTC()
	err := o.retrying(ctx, t, request.Attempt, events.Data{
		DurationMs: events.Milliseconds(took), ErrorCode: string(e.Code), ErrorMessage: e.Message, NextAttemptAt: &utc,
	})
	if err != nil {
		o.telemetry.problem(err)
	}
	request.EventPending = err != nil
	if err := o.queue.Park(ctx, request, next); err != nil {
		return 0, err
	}
	o.telemetry.attempt(t, "retrying")
	o.telemetry.line(ctx, zerolog.InfoLevel, t).Str("outcome", "retrying").Str("code", string(e.Code)).Str("error", e.Message).
		Int("attempt", request.Attempt).Time("next", next).Msg("action")
	return request.Attempt, nil
}

// retrying stores the event of a failed attempt.
func (o *outcomes) retrying(ctx context.Context, t *task, attempt int, data events.Data) error {
	data.Action, data.Attempt = t.request.Action, attempt
	once := "retrying/" + t.reference + "/" + strconv.Itoa(attempt)
	return o.lifecycle.store(ctx, lifecycleEvent{kind: events.ActionRetrying, about: t.about(), data: data, once: once})
}

// postpone parks the request without counting an attempt.
func (o *outcomes) postpone(ctx context.Context, t *task, p *postponement) (int, error) {
	if p.cause != nil {
		o.telemetry.problem(p.cause)
	}
	until := p.until
	if d := t.request.Deadline; !d.IsZero() && until.After(d) {
		until = d
	}
	request := t.request
	request.Attempt, request.GeneratedID = t.attempt()-1, false
	if err := o.queue.Park(ctx, request, until); err != nil {
		o.telemetry.problem(err)
		return 0, events.RetryIn(storeRetry, err)
	}
	o.telemetry.postponed.Inc()
	return request.Attempt, nil
}

// giveUp stores a dead letter and then the result, of a request that a later attempt might
// have completed. In that order a crash between the two writes loses neither. The
// provider is not called again if the letter cannot be stored.
func (o *outcomes) giveUp(ctx context.Context, t *task, e *connectors.Error) (int, error) {
	dead := t.request
	dead.Attempt, dead.EventPending = t.attempt(), false
	if err := retryUnavailable(ctx, func() error { return o.queue.DeadLetter(ctx, dead, string(e.Code)) }); err != nil {
		o.telemetry.problem(err)
	}
	o.telemetry.dead.Inc()
	return o.finish(ctx, t, nil, e)
}
