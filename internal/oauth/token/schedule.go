package token

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
)

const (
	// leeway is how long a token must still be valid to be used.
	leeway = time.Minute
	// maxMargin is the longest time before its expiry that a token is renewed, and
	// exchangeMargin that of a token which can be renewed only while it is valid.
	maxMargin      = 15 * time.Minute
	exchangeMargin = 7 * 24 * time.Hour
	// warnBefore is how long before a refresh token expires its owner is warned.
	warnBefore = 7 * 24 * time.Hour
	jitter     = 0.1 // of the margin, to both sides
)

// expired reports whether a token expires too soon to be used.
func expired(g *records.Grant, now time.Time) bool {
	if g.ExpiresAt.IsZero() {
		return false
	}
	return !now.Add(min(leeway, g.Lifetime()/4)).Before(g.ExpiresAt)
}

// margin returns how long before its expiry a token is renewed.
func margin(g *records.Grant) time.Duration {
	if byExchange(g) {
		return min(exchangeMargin, g.Lifetime()/4)
	}
	return min(maxMargin, g.Lifetime()/4)
}

// byExchange reports whether the grant is renewed by an exchange of its access token.
func byExchange(g *records.Grant) bool { return g.Exchanged && g.RefreshToken == "" }

// exchangeExpired reports whether it is too late for such an exchange.
func exchangeExpired(g *records.Grant, now time.Time) bool {
	return byExchange(g) && !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt)
}

// due reports whether a token is to be renewed now: its timer may have fired, or is
// about to. The timer of a grant that is not due was set before its last renewal.
func due(g *records.Grant, now time.Time) bool {
	if g.ExpiresAt.IsZero() {
		return false
	}
	earliest := time.Duration(float64(margin(g)) * (1 + jitter))
	return !now.Add(earliest + 50*time.Millisecond).Before(g.ExpiresAt)
}

// Due reports whether a live grant's token is to be renewed now.
func Due(g *records.Grant, now time.Time) bool {
	return g.State == records.GrantLive && renewable(g) && due(g, now)
}

// renewable reports whether a new token can be requested without the user.
func renewable(g *records.Grant) bool {
	return g.RefreshToken != "" || g.ClientCredentials || g.Exchanged || g.MainGrant != ""
}

// nextTimer returns when the refresher has to read the grant next; zero is never.
func nextTimer(g *records.Grant, now time.Time) time.Time {
	if g.State != records.GrantLive {
		return time.Time{}
	}
	var at time.Time
	if !g.ExpiresAt.IsZero() && renewable(g) {
		m := float64(margin(g)) * (1 - jitter + 2*jitter*rand.Float64())
		at = g.ExpiresAt.Add(-time.Duration(m))
	}
	if !g.RefreshExpires.IsZero() && !g.ExpiryWarned {
		if warn := g.RefreshExpires.Add(-warnBefore); at.IsZero() || warn.Before(at) {
			at = warn
		}
	}
	if !at.IsZero() && g.RetryAt.After(at) {
		at = g.RetryAt
	}
	if !at.IsZero() && at.Before(now) {
		at = now
	}
	return at
}

// backoff of transient failures: a second, doubling up to a quarter of an hour, with
// jitter; or what the provider asked for, if that is longer.
func backoff(failures int, asked time.Duration) time.Duration {
	d := min(time.Second<<min(max(failures-1, 0), 10), 15*time.Minute)
	return max(d/2+rand.N(d/2+1), min(asked, time.Hour))
}

// Scheduler sets the timers of grants. A grant has one timer.
type Scheduler struct {
	queue *queue.Queue
	opts  Options
}

// Schedule sets the grant's timer.
func (s *Scheduler) Schedule(ctx context.Context, g *records.Grant) error {
	at := nextTimer(g, s.opts.Now())
	if at.IsZero() {
		return nil
	}
	return s.scheduleAt(ctx, g, at)
}

func (s *Scheduler) scheduleAt(ctx context.Context, g *records.Grant, at time.Time) error {
	return s.queue.ScheduleRefresh(ctx, g.Key(), at)
}

// scheduleMeanwhile sets the grant's timer while the caller stores the grant; wait waits
// for it. The timer neither delays the store nor comes after it, where it could replace
// the timer of a later writer. If the process ends in between, a timer too early finds
// the grant not due and sets the right one, and one too late is set again by the
// refresher's sweep.
func (s *Scheduler) scheduleMeanwhile(ctx context.Context, g *records.Grant) (wait func()) {
	at, key, done := nextTimer(g, s.opts.Now()), g.Key(), make(chan struct{})
	go func() {
		defer close(done)
		if at.IsZero() {
			return
		}
		if err := s.queue.ScheduleRefresh(ctx, key, at); err != nil {
			s.opts.Warn(err)
		}
	}()
	return func() { <-done }
}

// reschedule sets a grant's timer again after wait: the timer that it waits for may have
// replaced the grant's own.
func (s *Scheduler) reschedule(ctx context.Context, wait func(), g *records.Grant) {
	wait()
	if err := s.Schedule(ctx, g); err != nil {
		s.opts.Warn(err)
	}
}
