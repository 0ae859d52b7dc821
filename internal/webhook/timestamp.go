package webhook

import (
	"strconv"
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

// read returns the text of the timestamp, which is what is signed, and its time.
func (t *timestamp) read(in *input) (string, time.Time, Reason) {
	found, reason := t.source.candidates(in)
	switch {
	case reason == ReasonMissingSignature:
		return "", time.Time{}, ReasonMissingTimestamp
	case reason != "" || len(found) != 1:
		return "", time.Time{}, ReasonMalformedTimestamp
	}
	at, ok := parseTime(found[0], t.format)
	if !ok {
		return "", time.Time{}, ReasonMalformedTimestamp
	}
	return found[0], at, ""
}

// checkWindow returns a reason if the time is outside of the window, and how far
// it is behind now (negative: ahead). Both edges belong to the window.
func (t *timestamp) checkWindow(at, now time.Time) (Reason, time.Duration) {
	age := now.Sub(at)
	switch {
	case age > t.tolerance:
		return ReasonStale, age
	case age < -t.future: // not -age: Sub saturates, and the least Duration has no opposite
		return ReasonFuture, age
	}
	return "", age
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
		// time.Parse accepts a comma before the fraction; RFC 3339 does not.
		return at, err == nil && !strings.Contains(text, ",")
	}
	return time.Time{}, false
}

// parseDigits parses a positive number of at most limit digits, without sign or
// leading zero.
func parseDigits(text string, limit int) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0 && len(text) <= limit && strconv.FormatInt(n, 10) == text
}
