package refresher

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
)

const (
	// sweepEvery is the mean time between two sweeps. A sweep reads every grant, which
	// costs some 15 CPU seconds for a million of them.
	sweepEvery = 6 * time.Hour
	// overdue is how late a renewal is when its timer counts as lost.
	overdue = 2 * time.Minute
)

// sweep sets lost timers again, now and then. A timer is lost by a crash between two
// writes, or when a stream is restored from an older copy. A lease makes sure that one
// refresher does it.
func (r *Refresher) sweep(ctx context.Context) error {
	for {
		timer := time.NewTimer(sweepEvery/2 + rand.N(sweepEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		lease, err := r.parts.Leases.Acquire(ctx, "sweep", "refresher", sweepEvery/2)
		if err != nil {
			r.problem(err)
		}
		if lease == nil {
			continue // another refresher has it; it ends by itself
		}
		if set, err := r.Heal(ctx); err != nil {
			r.problem(err)
		} else if set > 0 {
			r.opts.Log.Warn().Int("grants", set).Msg("lost timers of grants are set again")
		}
	}
}

// Heal sets the timers of all grants that are overdue, and returns their number. It also
// releases grants without a connection.
func (r *Refresher) Heal(ctx context.Context) (set int, err error) {
	for g, err := range r.parts.Grants.List(ctx, ">") {
		if err != nil {
			return set, err
		}
		r.parts.Tokens.References.ReleaseOrphans(ctx, g)
		now := r.opts.Now()
		late := token.Due(g, now.Add(-overdue)) && !g.RetryAt.After(now)
		if g.State == records.GrantUnused {
			late = g.RetryAt.Before(now.Add(-overdue))
		}
		if !late {
			continue
		}
		if err := r.parts.Queue.ScheduleRefresh(ctx, g.Key(), now); err != nil {
			return set, err
		}
		set++
	}
	return set, nil
}
