package connectors

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ExpiryForm is the form in which a provider writes when something ends: a token, or the
// window of a rate limit.
type ExpiryForm string

// The forms. Texts such as a date, "1h", "7d" or "20 minutes" are accepted in all but the
// last two.
const (
	ExpiryAuto         ExpiryForm = ""             // detected
	ExpirySeconds      ExpiryForm = "seconds"      // from now
	ExpiryMilliseconds ExpiryForm = "milliseconds" // from now
	ExpiryEpoch        ExpiryForm = "epoch"        // seconds since 1970
	ExpiryEpochMillis  ExpiryForm = "epoch_ms"     // milliseconds since 1970
	ExpiryDate         ExpiryForm = "date"         // RFC 3339
	ExpiryJWT          ExpiryForm = "jwt"          // the exp of the access token
	ExpiryNone         ExpiryForm = "none"         // tokens do not expire
)

// resetForms are those of rate limits, expiryForms those of tokens.
var (
	resetForms  = []ExpiryForm{ExpiryAuto, ExpirySeconds, ExpiryMilliseconds, ExpiryEpoch, ExpiryEpochMillis, ExpiryDate}
	expiryForms = append(resetForms[:len(resetForms):len(resetForms)], ExpiryJWT, ExpiryNone)
)

const (
	// From these on, a number is a point in time: no token lives for 31 years.
	minEpoch       = 1_000_000_000
	minEpochMillis = 1_000_000_000_000
	maxLifetime    = 100 * 365 * 24 * time.Hour
)

// Time returns the time that a text in this form means. It is false for what cannot be
// parsed; a number that is not above zero is the zero time.
func (f ExpiryForm) Time(text string, now time.Time) (time.Time, bool) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return parseDateOrDuration(strings.TrimSpace(text), now)
	}
	if number <= 0 {
		return time.Time{}, true
	}
	if f == ExpiryAuto {
		switch {
		case number >= minEpochMillis:
			f = ExpiryEpochMillis
		case number >= minEpoch:
			f = ExpiryEpoch
		}
	}
	switch f {
	case ExpiryEpoch:
		return time.UnixMilli(int64(min(number, 1e11) * 1000)).UTC(), true
	case ExpiryEpochMillis:
		return time.UnixMilli(int64(min(number, 1e14))).UTC(), true
	case ExpiryMilliseconds:
		number /= 1000
	}
	return now.Add(time.Duration(min(number, maxLifetime.Seconds()) * float64(time.Second))).UTC(), true
}

// parseDateOrDuration reads "2026-01-02T03:04:05Z" and "1h".
func parseDateOrDuration(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.RFC1123, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	d := parseDuration(strings.ToLower(text))
	return now.Add(d).UTC(), d > 0
}

// units are names of units of time. A text may have the first letters of one; the first
// that begins so is meant.
var units = []struct {
	name string
	unit time.Duration
}{
	{"seconds", time.Second}, {"secs", time.Second}, {"minutes", time.Minute}, {"mins", time.Minute}, {"hours", time.Hour}, {"hrs", time.Hour},
	{"days", 24 * time.Hour}, {"weeks", 7 * 24 * time.Hour}, {"months", 30 * 24 * time.Hour}, {"years", 365 * 24 * time.Hour},
	{"ms", time.Millisecond}, {"milliseconds", time.Millisecond},
}

// parseDuration reads "1h", "1h30m", "7d" and "20 minutes"; 0 is none of them.
func parseDuration(text string) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return min(max(d, 0), maxLifetime)
	}
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i <= 0 {
		return 0
	}
	number, err := strconv.ParseFloat(text[:i], 64)
	word := strings.TrimSpace(text[i:])
	for _, u := range units {
		if err == nil && word != "" && strings.HasPrefix(u.name, word) {
			return time.Duration(min(number*u.unit.Seconds(), maxLifetime.Seconds()) * float64(time.Second))
		}
	}
	return 0
}
