package subscription

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/records"
)

// firstSweep is within which time after its start a process looks at all connections.
const firstSweep = time.Minute

// sweep sets the timers of all connections whose registrations are to be compared, now and then.
// It also finds connections whose timer or event was lost. A lease makes sure that one executor
// does it.
func (r *Runtime) sweep(ctx context.Context) error {
	for delay := rand.N(min(firstSweep, r.opts.CompareEvery)); ; delay = r.opts.CompareEvery/2 + rand.N(r.opts.CompareEvery/2) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		lease, err := r.Leases.Acquire(ctx, "sweep.subscriptions", "executor", max(r.opts.CompareEvery/2, time.Second).Truncate(time.Second))
		if err != nil {
			r.telemetry.problem(err)
		}
		if lease == nil {
			continue // another executor has it; it ends by itself
		}
		if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.telemetry.problem(err)
		}
	}
}

// Sweep sets the timers of all connections of connectors that register webhooks, spread over half
// of the time between two comparisons.
func (r *Runtime) Sweep(ctx context.Context) error {
	recorded := map[records.Ref]time.Time{} // when their timers are set
	for s, err := range r.Records.List(ctx) {
		if errors.Is(err, records.ErrForeignKey) {
			r.telemetry.problem(err)
			continue
		}
		if err != nil {
			return err
		}
		recorded[s.Ref()] = s.NextAt
	}
	for _, c := range r.Calls.Connectors() {
		if c.Subscription == nil {
			continue
		}
		for connection, err := range r.Connections.OfConnector(ctx, c.Key) {
			if errors.Is(err, records.ErrForeignKey) {
				continue
			}
			if err != nil {
				return err
			}
			if _, known := recorded[connection.Ref()]; !known && connection.State == records.Active {
				recorded[connection.Ref()] = time.Time{}
			}
		}
	}
	for ref, next := range recorded {
		if err := r.schedule(ctx, ref, r.compareAt(next)); err != nil {
			return err
		}
	}
	return nil
}

// compareAt returns when to compare a connection whose timer is set: not later.
func (r *Runtime) compareAt(next time.Time) time.Time {
	now := time.Now()
	at := now.Add(rand.N(r.opts.CompareEvery / 2))
	if !next.IsZero() && next.Before(at) {
		return latest(next, now)
	}
	return at
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
