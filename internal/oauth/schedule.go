package oauth

import (
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/records"
)

const (
	// leeway is how much life a token must have left to be used.
	leeway = time.Minute
	// maxMargin is the longest time before its expiry that a token is renewed, and
	// tradedMargin that of one which can be renewed only while it is good.
	maxMargin    = 15 * time.Minute
	tradedMargin = 7 * 24 * time.Hour
	// warnBefore is how long before the end of a refresh token its owner is told.
	warnBefore = 7 * 24 * time.Hour
	jitter     = 0.1 // of the margin, to both sides
)

// expired reports whether a token is no longer good enough to be used.
func expired(g *records.Grant, now time.Time) bool {
	if g.ExpiresAt.IsZero() {
		return false
	}
	return !now.Add(min(leeway, g.Lifetime()/4)).Before(g.ExpiresAt)
}

// margin is how long before its expiry a token is renewed.
func margin(g *records.Grant) time.Duration {
	if trades(g) {
		return min(tradedMargin, g.Lifetime()/4)
	}
	return min(maxMargin, g.Lifetime()/4)
}

// trades reports whether the grant is renewed by trading its access token in.
func trades(g *records.Grant) bool { return g.Exchanged && g.RefreshToken == "" }

// ended reports whether it is too late for that.
func ended(g *records.Grant, now time.Time) bool {
	return trades(g) && !g.ExpiresAt.IsZero() && !now.Before(g.ExpiresAt)
}

// due reports whether a token is to be renewed now: its timer may have fired, or
// is about to. A timer that fires for a grant that is not due is a stray one.
func due(g *records.Grant, now time.Time) bool {
	if g.ExpiresAt.IsZero() {
		return false
	}
	earliest := time.Duration(float64(margin(g)) * (1 + jitter))
	return !now.Add(earliest + 50*time.Millisecond).Before(g.ExpiresAt)
}

// nextTimer is when the refresher has to look at the grant next; zero is never.
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

// renewable reports whether there is a way to a new token without the user.
func renewable(g *records.Grant) bool {
	return g.RefreshToken != "" || g.ClientCredentials || g.Exchanged || g.MainGrant != ""
}

// backoff of transient failures: a second, doubling up to a quarter of an hour,
// with jitter; or what the provider asked for, if that is longer.
func backoff(failures int, asked time.Duration) time.Duration {
	d := min(time.Second<<min(max(failures-1, 0), 10), 15*time.Minute)
	return max(d/2+rand.N(d/2+1), min(asked, time.Hour))
}

// Due reports whether the grant's token is to be renewed now.
func Due(g *records.Grant, now time.Time) bool {
	return g.State == records.GrantLive && renewable(g) && due(g, now)
}
