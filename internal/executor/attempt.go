package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// attempt calls the handler, once, holding a place of the connector's gate while
// it runs. Every error has a code, or is a [notNow].
func (j *job) attempt(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	defer j.leave(time.Now())
	if j.expired() {
		return nil, deadlinePassed() // while it waited for its turn
	}
	if j.action.Idempotent && j.number() > j.attempts() {
		return nil, errUsedUp
	}
	limited, cancel := j.limit(ctx)
	defer cancel()
	call, err := j.call(limited)
	if err != nil {
		return nil, notBegun(ctx, err)
	}
	if err := j.Executor.context(limited, j.connector, call); err != nil {
		return nil, err
	}
	if err := j.claim(ctx); err != nil {
		return nil, err
	}
	j.announceStart(ctx)
	output, err := j.handle(limited, call, input)
	if err != nil && ctx.Err() != nil && !j.claimed && connectors.IsRetryable(err) {
		return nil, &notNow{until: time.Now()} // this process ends; another may do it
	}
	return output, err
}

// errUsedUp is for a request whose every attempt ended with the end of the
// executor that made it.
var errUsedUp = connectors.Permanent(&connectors.Error{
	Code: connectors.CodeConnectorActionFailed, Message: "executors ended over this request again and again; it was given up on"})

// limit bounds an attempt by the action's timeout and the request's deadline.
func (j *job) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(j.action.TimeLimit())
	if !j.Deadline.IsZero() && j.Deadline.Before(until) {
		until = j.Deadline
	}
	return context.WithDeadline(ctx, until)
}

func (j *job) attempts() int {
	if j.action == nil {
		return 1
	}
	return j.action.AttemptLimit()
}

// notNow says that the request has to wait, for no fault of its own: it is
// parked, and the attempt does not count.
type notNow struct {
	until time.Time
	cause error // nil if nothing is wrong
}

func (n *notNow) Error() string { return "not now" }
func (n *notNow) Unwrap() error { return n.cause }

// ownTrouble is how long a request waits when our own stores do not answer.
const ownTrouble = 5 * time.Second

// notYet sets errors of our own stores apart from those of the request.
func notYet(err error) error {
	if connectors.IsRetryable(err) {
		return &notNow{time.Now().Add(ownTrouble), err}
	}
	return err
}

// notBegun sorts the errors of a call that could not be made. Trouble of our own
// stores, and the end of this process, are no fault of the request's; a provider
// that gives no token for now costs it an attempt.
func notBegun(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &notNow{until: time.Now()}
	}
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorDatabaseFailed}) {
		return notYet(err)
	}
	return err
}

// admission decides whether a job may have a place among the handlers. If not,
// it says when to ask again.
type admission func(ctx context.Context, j *job) (again time.Time, admitted bool)

// inTurn has new requests wait for their place until closing.
func inTurn(g *gate, closing <-chan struct{}) admission {
	return func(ctx context.Context, j *job) (time.Time, bool) {
		return time.Now(), j.enter(ctx, g, closing)
	}
}

// atOnce sends requests that were parked back to where they came from, rather
// than have them hold up others of other tenants behind them; unless the tenant
// has nothing else at work or waiting, so that the next place is its.
func atOnce(g *gate, closing <-chan struct{}) admission {
	return func(ctx context.Context, j *job) (time.Time, bool) {
		if g.idle(j.Tenant) {
			return time.Now(), j.enter(ctx, g, closing)
		}
		if !g.tryEnter(j.Tenant, j.High) {
			return g.turn(j.Tenant), false
		}
		j.holds(g)
		return time.Time{}, true
	}
}

// enter waits for a place until closing, or the request's deadline.
func (j *job) enter(ctx context.Context, g *gate, closing <-chan struct{}) bool {
	if !j.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, j.Deadline)
		defer cancel()
	}
	if !g.enter(ctx, closing, j.Tenant, j.High) {
		return false
	}
	j.holds(g)
	return true
}

func (j *job) holds(g *gate) {
	j.leave = func(since time.Time) { g.leave(j.Tenant, j.High, time.Since(since)) }
}

// lastWrites is for what has to be stored about work that was done: it outlives
// the end of the grace period by a moment.
func lastWrites(grace context.Context) (context.Context, context.CancelFunc) {
	last, cancel := context.WithCancel(context.WithoutCancel(grace))
	stop := context.AfterFunc(grace, func() { time.AfterFunc(lastMoment, cancel) })
	return last, func() { stop(); cancel() }
}

const lastMoment = 2 * time.Second
