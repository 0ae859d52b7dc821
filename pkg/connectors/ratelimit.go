package connectors

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// RateLimit says how a provider tells that too much was asked of it, where that is
// more than status 429 and Retry-After. [Call.ResponseError] reads answers by it.
//
//	a 403 beside an empty window, in epoch seconds
//	  statuses: [403], windows: [{remaining: X-RateLimit-Remaining, reset: X-RateLimit-Reset, form: epoch}]
//	a time in a sentence
//	  statuses: [403], text: "Retry after ([0-9T:.Z-]+)"
//	two windows at once
//	  windows: [{remaining: …, reset: …, form: epoch_ms}, {remaining: …-Minutely-Remaining, …}]
type RateLimit struct {
	// Statuses are refusals, besides 429, that may be because of the limit. They are
	// if a window is used up, there is a Retry-After, or Text is found.
	Statuses []int `json:"statuses,omitempty" yaml:"statuses,omitempty"`
	// Text is a regular expression (RE2) that such a refusal's body matches. Its first
	// group, if it has one, is when to come again.
	Text string `json:"text,omitempty" yaml:"text,omitempty"`
	// Windows are the limits that headers tell of. Of those that are used up, the one
	// that ends last counts.
	Windows []RateWindow `json:"windows,omitempty" yaml:"windows,omitempty"`
}

// RateWindow is one limit in an answer's headers.
type RateWindow struct {
	// Remaining names the header that says how many calls are left. "" means that
	// Reset is there only when there are none.
	Remaining string `json:"remaining,omitempty" yaml:"remaining,omitempty"`
	// Reset names the header that says when there will be others, in the form Form.
	Reset string     `json:"reset" yaml:"reset"`
	Form  ExpiryForm `json:"form,omitempty" yaml:"form,omitempty"`
}

const (
	// longestWait is beyond any limit's window: what says more was misread.
	longestWait = 24 * time.Hour
	// longestSentence bounds how much of a body is searched for Text.
	longestSentence = 64 << 10
)

// Refused says what an answer means that is no 2xx: whether it is because of the
// provider's limit, and when to come again. body is as much of it as was read. The
// caller may add the provider's words as Message.
func (c *Call) ResponseError(answer *http.Response, body []byte) *ProviderError {
	return c.RateLimit.ResponseError(answer, body)
}

// Refused is [Call.ResponseError] for callers that have no call. r may be nil.
func (r *RateLimit) ResponseError(answer *http.Response, body []byte) *ProviderError {
	status, header, now := answer.StatusCode, answer.Header, time.Now()
	// Points in time are by the provider's clock.
	if theirs, err := http.ParseTime(header.Get("Date")); err == nil {
		now = theirs
	}
	p := &ProviderError{Status: status, RateLimited: status == http.StatusTooManyRequests}
	after, told := retryAfterHeader(header, now)
	if r != nil && (p.RateLimited || slices.Contains(r.Statuses, status)) {
		for _, w := range r.Windows {
			if wait, usedUp := w.left(header, now); usedUp {
				after, told = max(after, wait), true
			}
		}
		if wait, found := r.sentence(body, now); found {
			after, told = max(after, wait), true
		}
		p.RateLimited = p.RateLimited || told
	}
	p.RetryAfter = min(after, longestWait)
	return p
}

// TurnedAway reports whether the provider's answer says, without its body, that it did
// nothing because of its limit.
func (r *RateLimit) Exceeded(answer *http.Response) bool {
	return r.ResponseError(answer, nil).RateLimited
}

func retryAfterHeader(header http.Header, now time.Time) (time.Duration, bool) {
	text := header.Get("Retry-After")
	if text == "" {
		return 0, false
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0), true
	}
	at, ok := ExpirySeconds.Time(text, now)
	return max(at.Sub(now), 0), ok
}

// left is how long the window is yet; false if it is not used up.
func (w RateWindow) left(header http.Header, now time.Time) (time.Duration, bool) {
	text := header.Get(w.Reset)
	if w.Remaining != "" {
		remaining := header.Get(w.Remaining)
		if at, ok := ExpirySeconds.Time(remaining, now); !ok || !at.IsZero() {
			return 0, false // some are left, or nothing is said of it
		}
		if text == "" {
			return 0, true
		}
	}
	at, ok := w.Form.Time(text, now)
	return max(at.Sub(now), 0), ok
}

// sentence reads Text out of a body.
func (r *RateLimit) sentence(body []byte, now time.Time) (time.Duration, bool) {
	if r.Text == "" {
		return 0, false
	}
	text, err := regexp.Compile(r.Text)
	if err != nil {
		return 0, false // registration has seen that it is one
	}
	found := text.FindSubmatch(body[:min(len(body), longestSentence)])
	if len(found) < 2 {
		return 0, found != nil
	}
	at, ok := ExpiryAuto.Time(string(found[1]), now)
	if !ok {
		return 0, true
	}
	return max(at.Sub(now), 0), true
}
