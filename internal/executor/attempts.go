package executor

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/executor/fairness"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// attempts calls the handlers of actions.
type attempts struct {
	calls     *callBuilder
	workers   *workers
	transport http.RoundTripper // to providers
	claims    *claims
	lifecycle *lifecycle
	running   prometheus.Gauge
}

// run makes one attempt in a concurrency slot that the caller holds. Every error has a
// code or is a [postponement].
func (a *attempts) run(ctx context.Context, t *task, input json.RawMessage) (json.RawMessage, error) {
	if t.expired() {
		return nil, deadlinePassed() // while it waited for the slot
	}
	if t.action.Idempotent && t.attempt() > t.maxAttempts() {
		return nil, errAttemptsUsedUp
	}
	limited, cancel := context.WithDeadline(ctx, t.deadline())
	defer cancel()
	call := &connectors.Call{
		Scope: t.request.Scope, Identity: t.request.Identity, Connector: t.request.Connector, Account: t.request.Account,
		Action: t.action.Key, RequestID: t.request.ID, Attempt: t.attempt(), IdempotencyKey: idempotencyKey(t.reference),
	}
	t.effects = &sideEffects{next: a.transport, limit: t.connector.RateLimit}
	if err := a.calls.build(limited, call, target{connector: t.connector, connection: t.connection, transport: t.effects}); err != nil {
		return nil, preparationError(ctx, err)
	}
	if err := a.workers.setContext(limited, t.connector, call); err != nil {
		return nil, err
	}
	if err := a.claims.acquire(ctx, t); err != nil {
		return nil, err
	}
	started := events.Data{Action: t.action.Key, Attempt: t.attempt()}
	a.lifecycle.notify(ctx, lifecycleEvent{kind: events.ActionStarted, about: t.about(), data: started})
	a.running.Inc()
	output, err := a.workers.runBounded(limited, func() (json.RawMessage, error) {
		defer a.running.Dec()
		return t.action.RunChecked(limited, call, input)
	})
	if err != nil && ctx.Err() != nil && !t.claimed && connectors.IsRetryable(err) {
		return nil, &postponement{until: time.Now()} // this process ends, and another can run it
	}
	return output, err
}

// admission acquires a concurrency slot for a request. Its error is a [postponement], or
// says that the deadline has passed.
type admission func(t *task) (fairness.Slot[events.Tenant], error)

// admitInTurn lets new requests wait for their slot until stopping ends.
func admitInTurn(stopping context.Context, l *fairness.Limiter[events.Tenant]) admission {
	return func(t *task) (fairness.Slot[events.Tenant], error) {
		return acquire(stopping, l, t)
	}
}

// admitNowOrLater postpones requests that were parked before, rather than let them delay
// those of other tenants behind them. Only a tenant without any call that runs or waits
// waits for the next slot.
func admitNowOrLater(stopping context.Context, l *fairness.Limiter[events.Tenant]) admission {
	return func(t *task) (fairness.Slot[events.Tenant], error) {
		if l.Idle(t.request.Tenant) {
			return acquire(stopping, l, t)
		}
		slot, ok := l.TryAcquire(t.request.Tenant, t.request.High)
		if !ok {
			return slot, &postponement{until: l.RetryAt(t.request.Tenant)}
		}
		return slot, nil
	}
}

func acquire(ctx context.Context, l *fairness.Limiter[events.Tenant], t *task) (fairness.Slot[events.Tenant], error) {
	if d := t.request.Deadline; !d.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d)
		defer cancel()
	}
	slot, err := l.Acquire(ctx, t.request.Tenant, t.request.High)
	switch {
	case err == nil:
		return slot, nil
	case t.expired():
		return slot, deadlinePassed()
	}
	return slot, &postponement{until: time.Now()}
}
