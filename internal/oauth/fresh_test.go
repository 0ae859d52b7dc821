package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestATokenIsRenewedOnlyShortlyBeforeItExpires(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	for _, tc := range []struct {
		left      time.Duration
		refreshes int
	}{{65 * time.Second, 0}, {55 * time.Second, 1}} {
		g := in.grant(grant)
		g.IssuedAt, g.ExpiresAt = time.Now().Add(-time.Hour), time.Now().Add(tc.left)
		must(t, in.front.Grants.Save(t.Context(), g))
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
		must(t, err)
		if got := stats(t, p).Refreshes; got != tc.refreshes {
			t.Errorf("with %s left: %d refreshes, want %d", tc.left, got, tc.refreshes)
		}
	}
	if kinds := in.kinds(); kinds[len(kinds)-1] != "oauth.refreshed" {
		t.Errorf("events: got %v, want oauth.refreshed last", kinds)
	}
}

// No fault of a token endpoint changes a token or a state.
func TestTransientFailuresChangeNoStateAndNoCredential(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, &options{CallTimeout: time.Second})
	grant := in.connectDemo()
	for _, mode := range []string{"500", "429", "html", "hang"} {
		before := in.expire(grant)
		fault(t, p, "token", mode, 1)
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
		e, ok := errors.AsType[*connectors.Error](err)
		if !ok || e.Code != connectors.CodeConnectorOAuthTokenFailed && e.Code != connectors.CodeConnectorOAuthParseTokenFailed || e.RetryAfter <= 0 {
			t.Errorf("%s: got %v, want a failure that says when to try again", mode, err)
		}
		after := in.grant(grant)
		if after.AccessToken != before.AccessToken || after.RefreshToken != before.RefreshToken || after.Generation != before.Generation || after.State != records.GrantLive {
			t.Errorf("%s: the grant changed: %+v", mode, after)
		}
		if after.Failures == 0 || after.RetryAt.IsZero() {
			t.Errorf("%s: failures %d, retry at %v, want a backoff", mode, after.Failures, after.RetryAt)
		}
		// During the backoff nobody calls.
		calls := stats(t, p)
		if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil || stats(t, p) != calls {
			t.Errorf("%s: during the backoff: got %v, want an error without a call", mode, err)
		}
		in.expire(grant)
		if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err != nil {
			t.Errorf("%s, and then healthy: %v", mode, err)
		}
		if c := in.demoConnection(); c.State != records.Active {
			t.Errorf("%s: the connection is %s, want active", mode, c.State)
		}
	}
	if got := stats(t, p); got.Reuses != 0 || got.Refreshes != 4 {
		t.Errorf("provider counted %+v, want four refreshes, no reuse", got)
	}
}

func TestALostResponseNeedsReauthOnce(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, &options{CallTimeout: 2 * time.Second})
	grant := in.connectDemo()
	id := in.demoConnection().ID
	in.expire(grant)
	fault(t, p, "token", "drop", 1) // the provider commits, and the answer is lost
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil {
		t.Fatal("the lost answer gave a token")
	}
	if g := in.grant(grant); g.Intent == nil || g.State != records.GrantLive {
		t.Errorf("after the loss: intent %v, state %s; want an intent without an outcome, live", g.Intent, g.State)
	}
	in.expire(grant)
	for range 3 {
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
		if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthRefreshFailed}) {
			t.Errorf("got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", err)
		}
	}
	if got := stats(t, p); got.Reuses != 1 {
		t.Errorf("provider counted %+v, want one attempt with the old token and no more", got)
	}
	if status, problem := in.call(http.MethodPost, onDemo+"/resolve", nil, nil); status != http.StatusUnauthorized || problem.Code != connectors.CodeConnectorOAuthRefreshFailed {
		t.Errorf("resolve: got %d %s, want 401 CONNECTOR_OAUTH_REFRESH_FAILED", status, problem.Code)
	}
	in.expectReconnect(t, id)
}

// expectReconnect follows the link of the one needs_reauth event, and expects the same
// connection to be active afterwards.
func (in *installation) expectReconnect(t *testing.T, id string) {
	t.Helper()
	published := in.eventsOf(events.OAuthNeedsReauth)
	if len(published) != 1 {
		t.Fatalf("needs_reauth was published %d times, want once", len(published))
	}
	link := published[0].URL
	if c := in.demoConnection(); c.State != records.NeedsReauth {
		t.Errorf("the connection is %s, want needs_reauth", c.State)
	}
	b := testenv.NewBrowser(t)
	status, start, body := b.Get(link)
	if status != http.StatusSeeOther {
		t.Fatalf("reconnect link: got %d %s, want 303", status, body)
	}
	if status, _, body := b.Get(in.consent(b, start, approve)); status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, body)
	}
	if c := in.demoConnection(); c.State != records.Active || c.ID != id {
		t.Errorf("got %s %s, want %s active", c.ID, c.State, id)
	}
	if status, _, body := testenv.NewBrowser(t).Get(link); status != http.StatusBadRequest || !strings.Contains(body, "replayed") {
		t.Errorf("the link again: got %d %s, want replayed", status, body)
	}
}

func TestARefusedGrantIsMarkedRevokedOnce(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.expire(grant)
	fault(t, p, "token", "invalid_grant", 1)
	nodes := []*testenv.Node{in.front.Join(t), in.front.Join(t), in.front}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			_, err := nodes[i%3].OAuth.Source.Fresh(t.Context(), grant)
			if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthRefreshFailed}) {
				t.Errorf("got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", err)
			}
		})
	}
	wg.Wait()
	if got := stats(t, p); got.Refreshes+got.Reuses != 0 {
		t.Errorf("provider counted %+v: calls after the refusal", got)
	}
	if n := len(in.eventsOf(events.OAuthNeedsReauth)); n != 1 {
		t.Errorf("needs_reauth was published %d times, want once", n)
	}
}

func TestACallersDeadlineDoesNotCancelTheRefresh(t *testing.T) {
	t.Parallel()
	slow := newSlowServer(t, 400*time.Millisecond)
	in := installWithApp(t, nil, oauthConnector("slow", slow.url, nil))
	grant := in.storeExpired(t, "slow")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := in.front.OAuth.Source.Fresh(ctx, grant); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline", err)
	}
	token, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if got := slow.calls.Load(); got != 1 || token.Generation != 2 {
		t.Errorf("got %d calls, generation %d; want one call whose tokens were kept", got, token.Generation)
	}
}

// slowServer is a token endpoint that responds after a delay.
type slowServer struct {
	url   string
	calls atomic.Int64
}

func newSlowServer(t testing.TB, delay time.Duration) *slowServer {
	s := &slowServer{}
	s.url = newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"new-access","refresh_token":"new-refresh","expires_in":3600}`))
	}))
	return s
}

// storeExpired stores an expired grant and its connection, as a flow would have.
func (in *installation) storeExpired(t testing.TB, connector string) (grant string) {
	t.Helper()
	key := records.GrantKey(acme, connector, "demo-client", "someone")
	ref := records.NewRef(acme, connector, "")
	g := in.front.Grants.New(key)
	g.Scope, g.Identity, g.Family, g.Connector = acme.Scope, acme.Identity, connector, connector
	g.ClientID, g.Generation = "demo-client", 1
	reference := records.NewGrantReference(ref, time.Now().Add(-2*time.Hour))
	g.AddReference(reference)
	g.IssuedAt, g.ExpiresAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	must(t, in.front.Grants.Seal(g, records.GrantTokens{Access: secret.New("old-access"), Refresh: secret.New("old-refresh")}))
	must(t, in.front.Grants.Save(t.Context(), g))
	_, err := in.front.Service.Authorize(t.Context(), ref, connection.AuthorizeInput{Grant: key, GrantReference: reference.ID})
	must(t, err)
	return key
}

func TestARotatedClientSecretLeavesNoGap(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.setApp("demo-oauth", records.App{ClientID: demoApp.ClientID, ClientSecrets: []secret.Text{secret.New("not-yet-valid"), demoApp.ClientSecrets[0]}})
	in.expire(grant)
	_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if got := stats(t, p); got.Refreshes != 1 {
		t.Errorf("provider counted %+v, want one refresh", got)
	}
	in.setApp("demo-oauth", records.App{ClientID: demoApp.ClientID, ClientSecrets: []secret.Text{secret.New("wrong")}})
	in.expire(grant)
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil || in.grant(grant).State != records.GrantLive {
		t.Errorf("with a wrong secret: got %v, grant %s; want an error and a live grant", err, in.grant(grant).State)
	}
}

func TestA401IsRetriedWithANewerToken(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	in.connectDemo()
	in.runExecutor(t)
	fault(t, p, "api", "invalid_grant", 1)
	if failures := in.act(t, "demo-oauth", "me", 1, "revoked"); len(failures) > 0 {
		t.Errorf("got %s, want success with a new token", failures[0])
	}
	if got := stats(t, p); got.Refreshes != 1 {
		t.Errorf("provider counted %+v, want one refresh", got)
	}
}

// answering is a provider in the test's process.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) { return a(req) }

// A URL with its scheme's default port and one without are the same origin, so the token
// is sent, and a 401 retried, at both.
func TestA401IsRetriedHoweverThePortIsWritten(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	grant := in.connectDemo()
	def, ok := in.front.Registry.Get("demo-oauth")
	if !ok {
		t.Fatal("the connector is not there")
	}
	for base, to := range map[string]string{"https://api.example:443": "https://api.example/me", "https://api.example": "https://API.example:443/me"} {
		var carried []string
		provider := answering(func(req *http.Request) (*http.Response, error) {
			carried = append(carried, req.Header.Get("Authorization"))
			status := http.StatusUnauthorized
			if len(carried) > 1 {
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		client := &http.Client{Transport: in.front.OAuth.Source.Transport(provider, def, grant, connectors.Runtime{BaseURL: base})}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
		must(t, err)
		resp, err := client.Do(req)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || len(carried) != 2 || carried[0] == carried[1] {
			t.Errorf("%s at %s: got %d after %d tokens, want 200 with the second", to, base, resp.StatusCode, len(carried))
		}
	}
}
