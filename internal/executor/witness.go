package executor

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// witness remembers whether a handler's requests may have changed something at
// the provider: a handler that makes two calls and is turned away at the second
// must not be told that nothing happened.
type witness struct {
	next  http.RoundTripper
	acted atomic.Bool
	limit *connectors.RateLimit // the connector's, once it is known
}

func newWitness(next http.RoundTripper) *witness {
	if next == nil {
		next = http.DefaultTransport
	}
	return &witness{next: next}
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return response, err // asks, and changes nothing
	}
	turnedAway := err == nil && (w.limit.TurnedAway(response) || response.StatusCode == http.StatusUnauthorized)
	if !turnedAway && !unreached(err) {
		w.acted.Store(true)
	}
	return response, err
}

// unreached reports that a request failed before there was a connection.
func unreached(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial" || safehttp.Refused(err)
}

// harmless reports that the provider certainly did nothing: it said so (its limit), or
// was never reached, and nothing else was asked of it before; or the handler
// itself asks for another attempt.
func (j *job) harmless(failure error) bool {
	_, asks := connectors.RetryDelay(failure)
	status := connectors.AsError(failure).ProviderStatus
	if asks && status == 0 {
		return true
	}
	limited := status == http.StatusTooManyRequests || connectors.AsError(failure).Code == connectors.CodeConnectorRateLimited
	return (limited || unreached(failure)) && !j.witness.acted.Load()
}
