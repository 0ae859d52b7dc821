package refresher

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
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

const (
	// lookEvery is how often timers are looked for that have fired and are not handed out.
	lookEvery = 15 * time.Second
	// notHandedOut is how long a timer is not handed out when it counts as lost.
	notHandedOut = 10 * time.Second
)

// adoptTimers sets again the timers that have fired and that the consumer will not hand
// out, as a server leaves them that was killed or could not write for a while.
func (r *Refresher) adoptTimers(ctx context.Context, consumer events.Consumer) error {
	orphans := queue.NewOrphans(r.parts.Queue.Streams, notHandedOut)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.adoptLost(ctx, orphans, consumer); err != nil && ctx.Err() == nil {
			r.problem(err)
		}
	}
}

func (r *Refresher) adoptLost(ctx context.Context, orphans *queue.Orphans, consumer events.Consumer) error {
	found, err := orphans.Find(ctx, consumer)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range found {
		var err error
		if grant := r.parts.Queue.Subjects.ParseRefreshDue(m.Subject); grant != "" {
			err = r.parts.Queue.ScheduleRefresh(ctx, grant, r.opts.Now())
		}
		if err == nil {
			err = r.parts.Queue.Streams.Remove(ctx, queue.Refresh, m.Sequence)
		}
		errs = append(errs, err)
	}
	if len(found) > 0 {
		r.opts.Log.Warn().Int("timers", len(found)).Msg("timers were not handed out any more, and are set again")
	} else if restarted, err := orphans.Restart(ctx, consumer); restarted || err != nil {
		r.opts.Log.Warn().Err(err).Msg("the consumer of timers had stopped handing them out, and is restarted")
	}
	return errors.Join(errs...)
}

// Heal sets the timers of all grants that are overdue, and returns their number. It also
// releases grants without a connection.
func (r *Refresher) Heal(ctx context.Context) (set int, err error) {
	const mostFailures = 8 // so many are a failure of the server, not of one grant
	failed := 0
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
			if failed++; failed >= mostFailures {
				return set, err
			}
			r.problem(err)
			continue
		}
		set++
	}
	return set, nil
}
