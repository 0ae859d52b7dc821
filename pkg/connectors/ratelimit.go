package connectors

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// RateLimit is how a provider reports that its rate limit is exceeded, where that is
// more than status 429 and Retry-After. [Call.ResponseError] reads responses by it.
//
//	403 with an exhausted window, in epoch seconds
//	  statuses: [403], windows: [{remaining: X-RateLimit-Remaining, reset: X-RateLimit-Reset, form: epoch}]
//	a time in a sentence
//	  statuses: [403], text: "Retry after ([0-9T:.Z-]+)"
//	two windows at once
//	  windows: [{remaining: …, reset: …, form: epoch_ms}, {remaining: …-Minutely-Remaining, …}]
type RateLimit struct {
	// Statuses are those that, besides 429, may be caused by the limit. They are
	// if a window is exhausted, there is a Retry-After, or Text matches.
	Statuses []int `json:"statuses,omitempty" yaml:"statuses,omitempty"`
	// Text is a regular expression (RE2) that the body of such a response matches. Its
	// first group, if it has one, is the time of the next attempt.
	Text string `json:"text,omitempty" yaml:"text,omitempty"`
	// Windows are the limits that headers describe. Of those that are exhausted, the one
	// that ends last counts.
	Windows []RateWindow `json:"windows,omitempty" yaml:"windows,omitempty"`
}

// RateWindow is one limit in a response's headers.
type RateWindow struct {
	// Remaining is the header with the number of calls that are left. "" means that
	// Reset is present only when there are none.
	Remaining string `json:"remaining,omitempty" yaml:"remaining,omitempty"`
	// Reset is the header with the end of the window, in the form Form.
	Reset string     `json:"reset" yaml:"reset"`
	Form  ExpiryForm `json:"form,omitempty" yaml:"form,omitempty"`
}

const (
	// maxRetryAfter is longer than any limit's window: a longer delay was misread.
	maxRetryAfter = 24 * time.Hour
	// maxSearched is how much of a body is searched for Text.
	maxSearched = 64 << 10
)

// ResponseError returns the error of a response that is not 2xx: whether it was caused by
// the provider's rate limit, and when to try again. body is as much of it as was read. Its
// Message is the provider's, where most providers have it in a JSON body; the caller may
// set another.
func (c *Call) ResponseError(response *http.Response, body []byte) *ProviderError {
	e := c.RateLimit.ResponseError(response, body)
	e.Message = providerMessage(body)
	return e
}

// ResponseError is [Call.ResponseError] for callers that have no call, without a message. r
// may be nil.
func (r *RateLimit) ResponseError(response *http.Response, body []byte) *ProviderError {
	status, header, now := response.StatusCode, response.Header, time.Now()
	// Times are by the provider's clock.
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	p := &ProviderError{Status: status, RateLimited: status == http.StatusTooManyRequests}
	after, limited := retryAfterHeader(header, now)
	if r != nil && (p.RateLimited || slices.Contains(r.Statuses, status)) {
		for _, w := range r.Windows {
			if left, exhausted := w.timeLeft(header, now); exhausted {
				after, limited = max(after, left), true
			}
		}
		if left, matches := r.searchBody(body, now); matches {
			after, limited = max(after, left), true
		}
		p.RateLimited = p.RateLimited || limited
	}
	p.RetryAfter = min(after, maxRetryAfter)
	return p
}

// Exceeded reports whether the response says, without its body, that the provider refused
// the request because of its rate limit.
func (r *RateLimit) Exceeded(response *http.Response) bool {
	return r.ResponseError(response, nil).RateLimited
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

// timeLeft returns how long the window lasts; false if it is not exhausted.
func (w RateWindow) timeLeft(header http.Header, now time.Time) (time.Duration, bool) {
	text := header.Get(w.Reset)
	if w.Remaining != "" {
		// A number that is not above zero is the zero time.
		if at, ok := ExpirySeconds.Time(header.Get(w.Remaining), now); !ok || !at.IsZero() {
			return 0, false
		}
		if text == "" {
			return 0, true
		}
	}
	at, ok := w.Form.Time(text, now)
	return max(at.Sub(now), 0), ok
}

// searchBody reports whether the body matches Text, and the delay in its group.
func (r *RateLimit) searchBody(body []byte, now time.Time) (time.Duration, bool) {
	if r.Text == "" {
		return 0, false
	}
	text, err := regexp.Compile(r.Text)
	if err != nil {
		return 0, false // refused at registration
	}
	found := text.FindSubmatch(body[:min(len(body), maxSearched)])
	if len(found) < 2 {
		return 0, found != nil
	}
	at, ok := ExpiryAuto.Time(string(found[1]), now)
	if !ok {
		return 0, true
	}
	return max(at.Sub(now), 0), true
}
