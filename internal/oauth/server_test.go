package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func newServer(t testing.TB, h http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
