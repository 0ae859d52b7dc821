package ingress_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestForgedWebhookURLsCostNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	prefix := path[:strings.LastIndexByte(path, '/')+1]
	for n := range 600 { // more than the lookups of unknown URLs that are allowed
		if r := s.do(t, "POST", fmt.Sprintf("%s%048x", prefix, n), "{}", "Authorization", ""); r.status != http.StatusUnauthorized {
			t.Fatalf("forged: %d %s", r.status, r.body)
		}
	}
	for n := range 600 { // guesses in the form of earlier versions have their limit
		s.do(t, "POST", fmt.Sprintf("%s%032x", prefix, n), "{}", "Authorization", "")
	}
	s.Front = s.StartIngress(t, nil) // its caches are empty
	for n := range 600 {
		s.do(t, "POST", fmt.Sprintf("%s%032x", prefix, n), "{}", "Authorization", "")
	}
	if r := s.deliver(t, path, events.NewID(), "{}"); r.status != http.StatusAccepted {
		t.Errorf("a genuine delivery to a quiet connection: %d %s", r.status, r.body)
	}
}

func TestGuessesOfAPITokensAreLimited(t *testing.T) {
	t.Parallel()
	s := serve(t)
	testenv.Eventually(t, "the token is known to be valid", func() bool {
		return s.do(t, "GET", "/api/v1/connectors", "").status == http.StatusOK && s.Tokens.IsCached(s.Token)
	})
	// Several at once, since a slow machine sends fewer than the limit allows.
	var limited atomic.Bool
	var guesses sync.WaitGroup
	for guesser := range 8 {
		guesses.Go(func() {
			for n := 0; n < 2000 && !limited.Load(); n++ {
				r := s.do(t, "GET", "/api/v1/connectors", "", "Authorization", fmt.Sprintf("Bearer guess-%d-%d", guesser, n))
				if r.status == http.StatusTooManyRequests {
					limited.Store(true)
				}
			}
		})
	}
	guesses.Wait()
	if !limited.Load() {
		t.Error("no guess was limited")
	}
	if r := s.do(t, "GET", "/api/v1/connectors", ""); r.status != http.StatusOK {
		t.Errorf("a token that is used: %d %s", r.status, r.body)
	}
}

func TestStalledBodiesHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	large := testenv.Probe("probe", "")
	large.Webhook.MaxBody = 1 << 20
	s := serve(t, large)
	stalled, other := s.connect(t, "probe"), ""
	if r := s.do(t, "PUT", ofBob+"/probe", `{"config":`+config+`}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	} else {
		other = webhookPath(t, r)
	}
	host := strings.TrimPrefix(s.URL, "http://")
	for range 300 {
		c, err := net.Dial("tcp", host)
		testenv.Must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n%s", stalled, strings.Repeat("x", 70000))
		testenv.Must(t, err)
	}
	body := `"` + strings.Repeat("x", 80000) + `"`
	began := time.Now()
	if r := s.do(t, "POST", other, body, "Authorization", ""); r.status == http.StatusServiceUnavailable {
		t.Errorf("another connection: %d %s after %v", r.status, r.body, time.Since(began))
	}
}

func TestEventFeedsOfOneTokenAreLimited(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for range 128 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/events", nil)
		testenv.Must(t, err)
		req.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
		resp, err := s.HTTP.Do(req)
		testenv.Must(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	if r := s.do(t, "GET", "/api/v1/events", ""); r.code() != "CONNECTOR_QUOTA_EXCEEDED" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
}
