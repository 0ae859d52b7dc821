package executor

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// resultPatience is how long a result that cost a provider's call is tried to be
// stored, before the request is given back to the queue.
const resultPatience = 15 * time.Second

// conclude does with the outcome what has to be done: answer, park for another
// attempt, or answer and bury. It returns nil only when that is stored.
func (j *job) conclude(ctx context.Context, output json.RawMessage, failure error) error {
	if failure == nil {
		return j.answer(ctx, output, nil)
	}
	failure = j.settle(ctx, failure)
	e := connectors.AsError(failure)
	if e.Code == connectors.CodeInternal && connectors.IsRetryable(failure) && j.action == nil {
		return failure // nothing was tried: our own trouble, not the request's
	}
	if !connectors.IsRetryable(failure) {
		return j.answer(ctx, nil, e)
	}
	delay := retryDelay(failure, j.number())
	next := time.Now().Add(delay)
	if j.number() < j.attempts() && (j.Deadline.IsZero() || next.Before(j.Deadline)) {
		return j.park(ctx, next, e)
	}
	if err := j.answer(ctx, nil, e); err != nil {
		return err
	}
	j.Attempt = j.number()
	j.metrics.dead.Inc()
	return j.Bus.Bury(ctx, j.Action, string(e.Code))
}

func (j *job) attempts() int {
	if j.action == nil {
		return 1
	}
	return j.action.AttemptLimit()
}

// retryDelay is what the provider or the handler asked for, else half a second
// that doubles with every attempt up to five minutes, with jitter.
func retryDelay(failure error, attempt int) time.Duration {
	if d, asked := connectors.RetryDelay(failure); asked {
		return d
	}
	d := min(500*time.Millisecond<<min(attempt-1, 12), 5*time.Minute)
	return d/2 + rand.N(d/2+1)
}

// park stores the request for its next attempt, so that it blocks nobody.
func (j *job) park(ctx context.Context, next time.Time, e *connectors.Error) error {
	again := j.Action
	again.Attempt = j.number()
	if err := j.Bus.Park(ctx, again, next); err != nil {
		return err
	}
	next = next.UTC()
	j.announce(ctx, events.ActionRetrying, events.Data{
		Action: j.ActionRef.Action, Attempt: again.Attempt, DurationMs: events.Milliseconds(time.Since(j.began)),
		ErrorCode: string(e.Code), ErrorMessage: e.Message, NextAttemptAt: &next,
	})
	j.metrics.observe(j, "retrying")
	j.log.Info().Str("outcome", "retrying").Str("code", string(e.Code)).Int("attempt", again.Attempt).Time("next", next).Msg("action")
	return j.awaitEvents(ctx)
}

// answer publishes the result on its own subject, expecting that the subject is
// empty: whoever comes second has no result to give, and says nothing more.
func (j *job) answer(ctx context.Context, output json.RawMessage, e *connectors.Error) error {
	about := j.About()
	if j.conn != nil {
		about.ConnectionID = j.conn.ID
	}
	kind, body := events.ActionCompleted, any(struct {
		Data json.RawMessage `json:"data"`
	}{output})
	if e != nil {
		kind, body = events.ActionFailed, struct {
			Error *connectors.Error `json:"error"`
		}{e}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	result := events.New(j.opts.Role, kind.Type(), about, data)
	published, err := j.publishResult(ctx, result)
	if errors.Is(err, events.ErrTooLarge) && e == nil {
		return j.answer(ctx, nil, connectors.Errorf(connectors.CodeConnectorActionOutputInvalid, "the output is larger than a message can be"))
	}
	if err != nil {
		return err
	}
	if published {
		j.report(ctx, kind, e)
	}
	return j.awaitEvents(ctx)
}

// publishResult reports whether this result is the one.
func (j *job) publishResult(ctx context.Context, result events.Event) (bool, error) {
	subject := j.Bus.Result(j.ActionRef, j.ID)
	giveUp := time.Now().Add(resultPatience)
	for {
		_, err := j.Bus.Publish(ctx, subject, result, &events.PublishOptions{First: true})
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, events.ErrExists):
			return false, nil
		case errors.Is(err, events.ErrUnavailable) && time.Now().Before(giveUp) && ctx.Err() == nil:
			// A publish whose ack was lost may be stored; then the next says so.
			time.Sleep(100 * time.Millisecond)
		default:
			return false, err
		}
	}
}

// report tells the world of the result: event, health, metric, log.
func (j *job) report(ctx context.Context, kind events.Kind, e *connectors.Error) {
	took := time.Since(j.began)
	data := events.Data{Action: j.ActionRef.Action, Attempt: j.number(), DurationMs: events.Milliseconds(took)}
	outcome, code, line := "completed", "", j.log.Info()
	if e != nil {
		outcome, code, line = "failed", string(e.Code), j.log.Warn()
		data.ErrorCode, data.ErrorMessage = code, e.Message
	}
	j.announce(ctx, kind, data)
	if j.conn != nil {
		j.Status.Action(connection.NewRef(j.Tenant, j.Connector, j.Account), code)
	}
	j.metrics.observe(j, outcome)
	line.Str("outcome", outcome).Str("code", code).Int("attempt", j.number()).Dur("ms", took).Msg("action")
}

// awaitEvents waits until the stream has what was announced.
func (j *job) awaitEvents(ctx context.Context) error {
	for _, p := range j.announced {
		if _, err := p.Wait(ctx); err != nil {
			// The result stands, and a redelivery would announce nothing.
			j.problem(err)
		}
	}
	j.announced = nil
	return nil
}
