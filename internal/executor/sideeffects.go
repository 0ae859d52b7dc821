package executor

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// sideEffects records whether a handler's requests may have changed something at the
// provider. A handler that makes two calls and is refused at the second may have changed
// something by the first.
type sideEffects struct {
	next     http.RoundTripper
	possible atomic.Bool
	limit    *connectors.RateLimit // the connector's
}

// RoundTrip implements http.RoundTripper.
func (s *sideEffects) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(r)
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return response, err // a safe method, RFC 9110 section 9.2.1
	}
	refused := err == nil && (s.limit.Exceeded(response) || response.StatusCode == http.StatusUnauthorized)
	if !refused && !notConnected(err) {
		s.possible.Store(true)
	}
	return response, err
}

// excludedBy reports whether the provider certainly changed nothing, given the failure of
// the handler: its limit refused the call, or it was not reached, and no call before may
// have changed anything; or the handler itself asks for another attempt.
func (s *sideEffects) excludedBy(failure error) bool {
	e := connectors.AsError(failure)
	if _, asks := connectors.RetryDelay(failure); asks && e.ProviderStatus == 0 {
		return true
	}
	limited := e.ProviderStatus == http.StatusTooManyRequests || e.Code == connectors.CodeConnectorRateLimited
	return (limited || notConnected(failure)) && !s.possible.Load()
}

// notConnected reports whether a request failed before there was a connection.
func notConnected(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial" || safehttp.Refused(err)
}
