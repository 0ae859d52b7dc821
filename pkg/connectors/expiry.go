package connectors

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ExpiryForm is how a provider says when something ends: a token, or its patience.
type ExpiryForm string

// The forms. Texts such as a date, "1h", "7d" or "20 minutes" are read in all but the
// last two.
const (
	ExpiryAuto         ExpiryForm = ""             // by what it looks like
	ExpirySeconds      ExpiryForm = "seconds"      // from now
	ExpiryMilliseconds ExpiryForm = "milliseconds" // from now
	ExpiryEpoch        ExpiryForm = "epoch"        // seconds since 1970
	ExpiryEpochMillis  ExpiryForm = "epoch_ms"     // milliseconds since 1970
	ExpiryDate         ExpiryForm = "date"         // RFC 3339
	ExpiryJWT          ExpiryForm = "jwt"          // the exp of the access token
	ExpiryNone         ExpiryForm = "none"         // tokens do not end
)

// resetForms are those of what is no token.
var resetForms = []ExpiryForm{ExpiryAuto, ExpirySeconds, ExpiryMilliseconds, ExpiryEpoch, ExpiryEpochMillis, ExpiryDate}

var expiryForms = append(resetForms[:len(resetForms):len(resetForms)], ExpiryJWT, ExpiryNone)

const (
	// From these on, a number is a point in time: nothing lives for 31 years.
	epochSeconds = 1_000_000_000
	epochMillis  = 1_000_000_000_000
	longestLife  = 100 * 365 * 24 * time.Hour
)

// Time reads when something ends that is written in this form. It is false for what
// cannot be read; a number that is not above zero is the zero time.
func (f ExpiryForm) Time(text string, now time.Time) (time.Time, bool) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return dateOrSpan(strings.TrimSpace(text), now)
	}
	if number <= 0 {
		return time.Time{}, true
	}
	if f == ExpiryAuto {
		switch {
		case number >= epochMillis:
			f = ExpiryEpochMillis
		case number >= epochSeconds:
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
	return now.Add(time.Duration(min(number, longestLife.Seconds()) * float64(time.Second))).UTC(), true
}

// dateOrSpan reads "2026-01-02T03:04:05Z" and "1h".
func dateOrSpan(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.RFC1123, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	span := spanOf(strings.ToLower(text))
	return now.Add(span).UTC(), span > 0
}

// spans are what people call the units of a span. Of each, the first letters will do;
// of two that begin so, the first is meant.
var spans = []struct {
	name string
	unit time.Duration
}{
	{"seconds", time.Second}, {"secs", time.Second}, {"minutes", time.Minute}, {"mins", time.Minute}, {"hours", time.Hour}, {"hrs", time.Hour},
	{"days", 24 * time.Hour}, {"weeks", 7 * 24 * time.Hour}, {"months", 30 * 24 * time.Hour}, {"years", 365 * 24 * time.Hour},
	{"ms", time.Millisecond}, {"milliseconds", time.Millisecond},
}

// spanOf reads "1h", "1h30m", "7d" and "20 minutes"; 0 is none of them.
func spanOf(text string) time.Duration {
	if span, err := time.ParseDuration(text); err == nil {
		return min(max(span, 0), longestLife)
	}
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i <= 0 {
		return 0
	}
	number, err := strconv.ParseFloat(text[:i], 64)
	word := strings.TrimSpace(text[i:])
	for _, s := range spans {
		if err == nil && word != "" && strings.HasPrefix(s.name, word) {
			return time.Duration(min(number*s.unit.Seconds(), longestLife.Seconds()) * float64(time.Second))
		}
	}
	return 0
}
