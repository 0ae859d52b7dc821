package oauth

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	// From these on, a number is a point in time: no token lives for 31 years.
	epochSeconds = 1_000_000_000
	epochMillis  = 1_000_000_000_000
	// assumedLife is taken for an expiry that is there but cannot be read.
	assumedLife = time.Hour
	longestLife = 100 * 365 * 24 * time.Hour
)

// expiryOf reads when a token ends; zero is never. value is nil where the reply
// has none.
func expiryOf(form connectors.ExpiryForm, value any, token string, now time.Time) time.Time {
	switch {
	case form == connectors.ExpiryNone:
		return time.Time{}
	case form == connectors.ExpiryJWT, value == nil && form == connectors.ExpiryAuto:
		return jwtExpiry(token)
	case value == nil:
		return time.Time{}
	}
	text := scalar(value)
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return dateOrSpan(text, now)
	}
	if number <= 0 {
		return time.Time{}
	}
	if form == connectors.ExpiryAuto {
		switch {
		case number >= epochMillis:
			form = connectors.ExpiryEpochMillis
		case number >= epochSeconds:
			form = connectors.ExpiryEpoch
		}
	}
	switch form {
	case connectors.ExpiryEpoch:
		return time.Unix(int64(min(number, 1e11)), 0).UTC()
	case connectors.ExpiryEpochMillis:
		return time.UnixMilli(int64(min(number, 1e14))).UTC()
	case connectors.ExpiryMilliseconds:
		return after(now, number/1000)
	}
	return after(now, number)
}

func after(now time.Time, seconds float64) time.Time {
	return now.Add(time.Duration(min(seconds, longestLife.Seconds()) * float64(time.Second))).UTC()
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
	text = strings.ToLower(strings.TrimSpace(text))
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

// dateOrSpan reads "2026-01-02T03:04:05Z" and "1h".
func dateOrSpan(text string, now time.Time) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.RFC1123, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC()
		}
	}
	if span := spanOf(text); span > 0 {
		return now.Add(span).UTC()
	}
	// Never taking it for "does not end": renewing too early harms nobody.
	return now.Add(assumedLife).UTC()
}

// jwtExpiry reads the exp of a JWT without checking its signature: it only says
// when to renew what we were given over TLS.
func jwtExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0).UTC()
}
