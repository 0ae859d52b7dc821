package connectors

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A retryError is an error of a handler that says whether to try again: Permanent(err) or
// RetryAfter(d, err). Any other error means: again, after a delay that grows with the
// attempts. Handlers never see acknowledgements of messages.
type retryError struct {
	err       error
	permanent bool
	after     time.Duration
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// Permanent marks err: no retry can help. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &retryError{err: err, permanent: true}
}

// RetryAfter marks err: try again when d has passed, not earlier. A d below zero
// counts as zero. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryError{err: err, after: max(d, 0)}
}

// IsPermanent reports whether the outermost mark in err's chain is [Permanent].
func IsPermanent(err error) bool {
	e, ok := errors.AsType[*retryError](err)
	return ok && e.permanent
}

// RetryDelay returns the delay that err asks for: that of [RetryAfter], else the
// RetryAfter of an [Error] or [ProviderError] in the chain. It is false if err
// asks for none.
func RetryDelay(err error) (time.Duration, bool) {
	if e, ok := errors.AsType[*retryError](err); ok {
		return e.after, !e.permanent
	}
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	if p, ok := errors.AsType[*ProviderError](err); ok && p.RetryAfter > 0 {
		return p.RetryAfter, true
	}
	return 0, false
}

// IsRetryable reports whether a retry may help. [Permanent] and [RetryAfter] decide;
// without them a provider's status does (408, 425, 429, 5xx and its rate limit may
// help, other 4xx will not), and then the [Code]. Errors without any of these may be
// transient, so they are retryable.
func IsRetryable(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*retryError](err); ok {
		return !e.permanent
	}
	e := AsError(err)
	switch s := e.ProviderStatus; {
	case e.Code == CodeConnectorRateLimited:
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests:
	case s >= 400 && s < 500:
		return false
	}
	return e.Code.Retryable()
}

// ProviderError is what a handler returns when the provider answered with another status
// than 2xx; [Call.ResponseError] makes it. [Action.Run] turns it into an [Error].
type ProviderError struct {
	Status     int           // HTTP status
	RetryAfter time.Duration // what the provider asked for; 0 if it did not
	Message    string        // the provider's message, for people: no body, no credential
	// RateLimited means that the request was refused because of a rate limit, whatever
	// the status.
	RateLimited bool
}

// Error returns the status and the message.
func (p *ProviderError) Error() string {
	if p.Message == "" {
		return fmt.Sprintf("the provider answered %d", p.Status)
	}
	return fmt.Sprintf("the provider answered %d: %s", p.Status, p.Message)
}
