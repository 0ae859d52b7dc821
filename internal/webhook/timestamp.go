package webhook

import (
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Defaults of a time window. The allowance for the future is smaller, because
// it adds to the time in which a recorded request could be replayed.
const (
	defaultTolerance = 300 * time.Second
	defaultFuture    = 60 * time.Second
)

// timestamp is a compiled webhooks.Timestamp.
type timestamp struct {
	source            source
	format            webhooks.TimeFormat
	tolerance, future time.Duration
}

func compileTimestamp(t *webhooks.Timestamp) *timestamp {
	if t == nil {
		return nil
	}
	c := &timestamp{source: compileSource(t.Source), format: t.Format,
		tolerance: time.Duration(t.Tolerance), future: time.Duration(t.Future)}
	if c.tolerance == 0 {
		c.tolerance = defaultTolerance
	}
	if c.future == 0 {
		c.future = min(defaultFuture, c.tolerance)
	}
	return c
}

// read returns the timestamp as it is written, which is what is signed, and
// what it means.
func (t *timestamp) read(v *view) (string, time.Time, Reason) {
	var room [maxCandidates]string
	texts, reason := t.source.candidates(v, room[:0])
	switch {
	case reason == ReasonMissingSignature:
		return "", time.Time{}, ReasonMissingTimestamp
	case reason != "" || len(texts) != 1:
		return "", time.Time{}, ReasonMalformedTimestamp
	}
	at, ok := parseTime(texts[0], t.format)
	if !ok {
		return "", time.Time{}, ReasonMalformedTimestamp
	}
	return texts[0], at, ""
}

// within reports how the time lies outside of the window, or nil. Both edges
// belong to the window.
func (t *timestamp) within(at, now time.Time) *Rejection {
	age := now.Sub(at)
	switch {
	case age > t.tolerance:
		return &Rejection{Reason: ReasonStale, Skew: age}
	case age < -t.future: // not -age: Sub saturates, and the least Duration has no opposite
		return &Rejection{Reason: ReasonFuture, Skew: age}
	}
	return nil
}

func parseTime(text string, format webhooks.TimeFormat) (time.Time, bool) {
	switch format {
	case webhooks.UnixSeconds, "":
		n, ok := parseDigits(text, 11) // until the year 5138; never milliseconds
		return time.Unix(n, 0), ok
	case webhooks.UnixMillis:
		n, ok := parseDigits(text, 14)
		return time.UnixMilli(n), ok
	case webhooks.RFC3339:
		at, err := time.Parse(time.RFC3339, text)
		// time.Parse takes a comma before the fraction; RFC 3339 does not.
		return at, err == nil && !strings.Contains(text, ",")
	}
	return time.Time{}, false
}

// parseDigits reads a number of at most limit digits, without sign, fraction,
// exponent or leading zero.
func parseDigits(text string, limit int) (int64, bool) {
	if text == "" || len(text) > limit || text[0] == '0' {
		return 0, false
	}
	var n int64
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
