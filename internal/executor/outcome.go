package executor

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// resultPatience is how long a result that cost a provider's call is tried to be
// stored, before the request is given back to the queue.
const resultPatience = 15 * time.Second

// conclude does with the outcome what has to be done: answer, park for another
// attempt, or bury and answer. It returns nil only when that is stored.
func (j *job) conclude(ctx context.Context, output json.RawMessage, failure error) error {
	if failure == nil {
		return j.answer(ctx, output, nil)
	}
	if wait, ok := errors.AsType[*notNow](failure); ok {
		return j.postpone(ctx, wait.until, wait.cause)
	}
	if failure == errUsedUp {
		return j.giveUp(ctx, connectors.AsError(failure))
	}
	failure = j.settle(ctx, failure)
	e := connectors.AsError(failure)
	// An address that may not be dialled will not be allowed by asking again.
	if !connectors.IsRetryable(failure) || safehttp.Refused(failure) {
		return j.answer(ctx, nil, e)
	}
	next := time.Now().Add(retryDelay(failure, j.number()))
	if j.number() >= j.attempts() || !j.Deadline.IsZero() && !next.Before(j.Deadline) {
		return j.giveUp(ctx, e)
	}
	if err := j.park(ctx, next, e); !errors.Is(err, events.ErrTooLarge) {
		return err
	}
	// With what a retry has to know of it, the request is too large to be stored.
	return j.giveUp(ctx, e)
}

// retryDelay is what the provider or the handler asked for, else half a second
// that doubles with every attempt up to five minutes, with jitter.
func retryDelay(failure error, attempt int) time.Duration {
	if d, asked := connectors.RetryDelay(failure); asked {
		return min(d, longestDelay)
	}
	d := min(500*time.Millisecond<<min(max(attempt-1, 0), 12), 5*time.Minute)
	return d/2 + rand.N(d/2+1)
}

// longestDelay bounds what a provider can ask for.
const longestDelay = 24 * time.Hour

// park stores the request for its next attempt, so that it blocks nobody.
func (j *job) park(ctx context.Context, next time.Time, e *connectors.Error) error {
	again := j.Action
	again.Attempt = j.number()
	if err := j.Bus.Park(ctx, again, next); err != nil {
		return err
	}
	j.made, next = again.Attempt, next.UTC()
	j.announce(ctx, events.ActionRetrying, events.Data{
		Action: j.ActionRef.Action, Attempt: again.Attempt, DurationMs: events.Milliseconds(time.Since(j.began)),
		ErrorCode: string(e.Code), ErrorMessage: e.Message, NextAttemptAt: &next,
	}, "")
	j.metrics.observe(j, "retrying")
	j.line(ctx, zerolog.InfoLevel).Str("outcome", "retrying").Str("code", string(e.Code)).Int("attempt", again.Attempt).Time("next", next).Msg("action")
	return j.awaitEvents(ctx)
}

// postpone stores the request for later without counting an attempt: its turn
// has not come, or our own stores do not answer.
func (j *job) postpone(ctx context.Context, until time.Time, cause error) error {
	if cause != nil {
		j.problem(cause)
	}
	if !j.Deadline.IsZero() && until.After(j.Deadline) {
		until = j.Deadline
	}
	again := j.Action
	again.Attempt, again.MadeUp = j.number()-1, false
	if err := j.Bus.Park(ctx, again, until); err != nil {
		j.problem(err)
		return events.Again(ownTrouble, err)
	}
	j.made = again.Attempt
	j.metrics.postponed.Inc()
	return nil
}

// giveUp answers a request that failed for good although it might not have, and
// keeps it as a dead letter. The letter comes first: nobody would write it after
// a crash between the two. But for want of it the provider is not called again.
func (j *job) giveUp(ctx context.Context, e *connectors.Error) error {
	dead := j.Action
	dead.Attempt = j.number()
	err := patiently(ctx, func() error { return j.Bus.Bury(ctx, dead, string(e.Code)) })
	if err != nil {
		j.problem(err)
	}
	j.metrics.dead.Inc()
	return j.answer(ctx, nil, e)
}

// patiently tries again what the stream did not take.
func patiently(ctx context.Context, try func() error) error {
	for giveUp := time.Now().Add(resultPatience); ; {
		err := try()
		if !errors.Is(err, events.ErrUnavailable) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
