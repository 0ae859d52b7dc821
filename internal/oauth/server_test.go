package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// settableHandler is a handler that is set after its server's address is known.
type settableHandler struct{ handler atomic.Pointer[http.Handler] }

func (l *settableHandler) set(h http.Handler) { l.handler.Store(&h) }

func (l *settableHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*l.handler.Load()).ServeHTTP(w, r)
}

func newServer(t testing.TB, h http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// newTLSServer is a server over https, and a client that trusts it.
func newTLSServer(t testing.TB, h http.Handler) (url string, client *http.Client) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	return server.URL, server.Client()
}
