package safehttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
)

func TestAFailedCallSaysItsCause(t *testing.T) {
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	allowed := safehttp.New(&safehttp.Options{Allow: loopback})
	short := safehttp.New(&safehttp.Options{Allow: loopback, Timeout: 300 * time.Millisecond})
	for name, c := range map[string]struct {
		client    *http.Client
		url, want string
	}{
		"blocked":      {safehttp.New(nil), plain.URL, "HAWSER_ALLOW_NETWORKS"},
		"unknown host": {allowed, "http://no-such-host.invalid", "cannot be resolved"},
		"refused":      {allowed, gone.URL, "refused the connection"},
		"not trusted":  {allowed, secure.URL, "does not trust"},
		"no TLS":       {allowed, strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
		"no answer":    {short, hanging.URL, "in time"},
	} {
		_, err := c.client.Get(c.url)
		if got := connectors.CallFailure(err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q of %v, want %q", name, got, err, c.want)
		}
	}
}
