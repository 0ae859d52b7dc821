package demo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/demo"
)

func (b *bench) fault(endpoint, mode string, times int) {
	b.t.Helper()
	wantStatus(b.t, b.post("/_fault", "", fmt.Sprintf(`{"endpoint":%q,"mode":%q,"times":%d}`, endpoint, mode, times)), 200)
}

func TestTokenFaultsAnswerAndDoNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	for mode, status := range map[string]int{"500": 500, "429": 429, "html": 200, "invalid_grant": 400} {
		b.fault("token", mode, 2)
		for range 2 {
			a := wantStatus(t, b.refresh(token.RefreshToken), status)
			if (mode == "429") != (a.Header.Get("Retry-After") == "1") {
				t.Errorf("%s: Retry-After = %q", mode, a.Header.Get("Retry-After"))
			}
			if (mode == "html") != strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s: Content-Type = %q", mode, a.Header.Get("Content-Type"))
			}
		}
	}
	b.wantStats(map[string]int{"exchanges": 1})
	wantStatus(t, b.get("/api/me", token.AccessToken), 200) // token faults are not the API's
	wantStatus(t, b.refresh(token.RefreshToken), 200)
}

func TestADroppedRefreshHasRotated(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	b.fault("token", "drop", 1)
	form := asClient("grant_type", "refresh_token", "refresh_token", token.RefreshToken).Encode()
	if a, err := b.try(b.request("POST", "/token", form, "Content-Type", "application/x-www-form-urlencoded")); err == nil {
		t.Fatalf("got %d, want no answer", a.Status)
	}
	b.wantStats(map[string]int{"exchanges": 1, "refreshes": 1})
	wantOAuthError(t, b.refresh(token.RefreshToken), 400, "invalid_grant")
	b.wantStats(map[string]int{"exchanges": 1, "refreshes": 1, "reuses": 1})
}

func TestAPIFaults(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for mode, status := range map[string]int{"500": 500, "429": 429, "html": 200, "invalid_grant": 401} {
		b.fault("api", mode, 1)
		wantStatus(t, b.post("/api/charges", key, `{"amount":1}`), status)
	}
	b.wantStats(map[string]int{})
	b.fault("api", "500", 1000)
	wantStatus(t, b.get("/api/me", key), 500)
	b.fault("api", "none", 5)
	wantStatus(t, b.get("/api/me", key), 200)

	b.fault("api", "drop", 1)
	// A connection of its own, since a client may repeat a request on a reused one.
	req := b.request("POST", "/api/charges", `{"amount":1}`, "Content-Type", "application/json", "Authorization", "Bearer "+key)
	req.Close = true
	if a, err := b.try(req); err == nil {
		t.Errorf("got %d, want no answer", a.Status)
	}
	b.wantStats(map[string]int{"charges": 1})
}

func TestAHangEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.fault("api", "hang", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req := b.request("POST", "/api/charges", `{"amount":1}`, "Content-Type", "application/json", "Authorization", "Bearer "+key)
	if a, err := b.try(req.WithContext(ctx)); err == nil {
		t.Errorf("got %d, want no answer", a.Status)
	}
	wantStatus(t, b.get("/api/me", key), 200)
	b.wantStats(map[string]int{})
}

func TestFaultsReachAStrangeLibraryAsErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, &demo.Options{TokenTTL: 2 * time.Second})
	token := b.authorize("read")
	if token.ExpiresIn != 2 {
		t.Errorf("expires_in = %d, want 2", token.ExpiresIn)
	}
	token.Expiry = time.Now().Add(-time.Minute)
	b.fault("token", "html", 1)
	var source oauth2.TokenSource = b.config().TokenSource(b.context(), token)
	if _, err := source.Token(); err == nil {
		t.Error("an HTML page passed for a token")
	}
	if _, err := source.Token(); err != nil {
		t.Errorf("after the fault: %v", err)
	}
}

// sent starts a request and returns, once it is written, a channel that gets its outcome.
func (b *bench) sent(path, body string) <-chan error {
	b.t.Helper()
	written, ended := make(chan struct{}), make(chan error, 1)
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(written) }}
	req := b.request("POST", path, body, "Content-Type", "application/json", "Authorization", "Bearer "+key)
	req.Close = true
	go func() {
		_, err := b.try(req.WithContext(httptrace.WithClientTrace(b.t.Context(), trace)))
		ended <- err
	}()
	<-written
	return ended
}

func TestCloseDoesNotWaitForAHang(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.fault("api", "hang", 1)
	ended := b.sent("/api/charges", `{"amount":1}`)
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the hanging request got an answer")
	}
}

func TestCloseWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	receiver, arrived, release := blockingReceiver(t)
	ended := b.sent("/_webhook", `{"url":"`+receiver+`","body":{}}`)
	<-arrived
	closed := make(chan error, 1)
	go func() { closed <- b.Close(t.Context()) }()
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	setup(t, &demo.Options{DataDir: b.folder}).wantStats(map[string]int{"webhooks_sent": 1})
}

func TestCloseCutsOffWhatOutlastsItsDeadline(t *testing.T) {
	t.Parallel()
	// Not setup, which wants a clean Close at the end.
	p, err := demo.Start(t.Context(), demo.Options{Addr: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	receiver, arrived, release := blockingReceiver(t)
	defer close(release)
	b := &bench{Provider: p, t: t, client: &http.Client{}}
	ended := b.sent("/_webhook", `{"url":"`+receiver+`","body":{}}`)
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v, want canceled", err)
	}
	if err := p.Close(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("second Close = %v, want the first result", err)
	}
	if err := <-ended; err == nil {
		t.Error("the request in flight got an answer")
	}
}
