package refresher

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
)

// sweepEvery is how often lost timers are looked for: a sweep reads every grant,
// which costs some 15 CPU seconds for a million of them.
const sweepEvery = 6 * time.Hour

// overdue is how late a renewal must be for its timer to count as lost.
const overdue = 2 * time.Minute

// sweep looks, now and then, for grants whose timer was lost: a crash between two
// writes, a stream restored from an older copy. One refresher does; it reads every
// grant once, and writes only what it heals. Nothing waits for it.
func (r *Refresher) sweep(ctx context.Context) error {
	for {
		timer := time.NewTimer(sweepEvery/2 + rand.N(sweepEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		lease, err := r.Leases.Acquire(ctx, "sweep", "refresher", sweepEvery/2)
		if err != nil {
			r.problem(err)
		}
		if lease == nil {
			continue // somebody has done it, or is at it; the lease ends by itself
		}
		if healed, err := r.Heal(ctx); err != nil {
			r.problem(err)
		} else if healed > 0 {
			r.opts.Log.Warn().Int("grants", healed).Msg("timers were lost, and are set again")
		}
	}
}

// Heal sets the timers of all grants that are overdue, and returns how many. And it has
// the grants looked at that no refresh comes to: whoever left them may have died at it.
func (r *Refresher) Heal(ctx context.Context) (healed int, err error) {
	for g, err := range r.Grants.List(ctx, ">") {
		if err != nil {
			return healed, err
		}
		r.Tokens.References.ReleaseOrphans(ctx, g)
		now := r.opts.Now()
		late := token.Due(g, now.Add(-overdue)) && !g.RetryAt.After(now)
		if g.State == records.GrantUnused {
			late = g.RetryAt.Before(now.Add(-overdue))
		}
		if !late {
			continue
		}
		if err := r.Queue.ScheduleRefresh(ctx, g.Key(), now); err != nil {
			return healed, err
		}
		healed++
	}
	return healed, nil
}
