package oauth_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// refuseGrant makes the provider refuse the connection's grant, and returns the
// reconnect link.
func (in *installation) refuseGrant(t *testing.T, w *workspace, c *records.Connection) (link string) {
	t.Helper()
	w.with(func() { w.refuse = "bot" })
	in.expire(c.Grant)
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), c.Grant); err == nil {
		t.Fatal("got a token that was refused")
	}
	w.with(func() { w.refuse = "" })
	c, err := in.front.Service.Latest(t.Context(), c.Ref())
	must(t, err)
	return in.front.Links.ReconnectURL(c)
}

// A reconnect link is followed in another workspace, to which the tenant is connected
// elsewhere. The new tokens are not stored, and those of the other connection not
// revoked.
func TestAMismatchKeepsTheGrantOfAnotherConnection(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	first := in.connectChat(t, "")
	w.with(func() { w.team, w.user = "T2", "U2" })
	second := in.connectChat(t, "second")
	link := in.refuseGrant(t, w, first)
	for _, tc := range []struct {
		team, user string
		revoked    []string
	}{{"T2", "U2", nil}, {"T2", "U3", []string{"U3"}}, {"T3", "U4", []string{"U3", "bot", "U4"}}} {
		w.with(func() { w.team, w.user = tc.team, tc.user })
		_, start, _ := testenv.NewBrowser(t).Get(link)
		if status, body := in.answerChat(t, start); status != http.StatusBadRequest || !strings.Contains(body, "mismatch") {
			t.Errorf("the link in %s: got %d %s, want 400 mismatch", tc.team, status, body)
		}
		w.with(func() {
			if diff := cmp.Diff(tc.revoked, w.revoked); diff != "" {
				t.Errorf("revoked after %s in %s (-want +got):\n%s", tc.user, tc.team, diff)
			}
		})
	}
	if g := in.grant(second.Grant); g.State != records.GrantLive {
		t.Errorf("the other connection's grant is %s", g.State)
	}
}

// The exchange fails before the user info was requested.
func TestAFailedExchangeKeepsTheGrantOfAnotherConnection(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	exchanges := 0
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") != "authorization_code" {
			if exchanges++; exchanges > 1 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		_, _ = w.Write([]byte(`{"access_token":"same","expires_in":3600}`))
	})
	provider.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"sub":"u1"}`)) })
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), func(o *connectors.OAuth2) { o.Exchange = &connectors.Exchange{} }))
	in.connectWithCode("gone")
	if location := in.connectWithCode("gone?account=second"); !strings.Contains(location, "CONNECTOR_OAUTH_TOKEN_FAILED") {
		t.Errorf("connect: got %s, want CONNECTOR_OAUTH_TOKEN_FAILED", location)
	}
	if got := provider.seen(); len(got) > 0 {
		t.Errorf("revoked %v, want nothing: another connection uses it", got)
	}
}

// The operator has set another app. Reconnect links of grants of the old one lead to
// grants of the new one.
func TestAReconnectLinkWorksAfterTheAppHasChanged(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	c := in.connectChat(t, "")
	link := in.refuseGrant(t, w, c)
	in.setApp("chat", records.App{ClientID: "another-client", ClientSecrets: demoApp.ClientSecrets})
	w.with(func() { w.team = "T2" })
	_, start, _ := testenv.NewBrowser(t).Get(link)
	if status, body := in.answerChat(t, start); status != http.StatusBadRequest || !strings.Contains(body, "mismatch") {
		t.Errorf("the link for another team: got %d %s, want 400 mismatch", status, body)
	}
	w.with(func() { w.team = "T1" })
	_, start, _ = testenv.NewBrowser(t).Get(link)
	in.finishChat(t, start)
	now, err := in.front.Service.Latest(t.Context(), c.Ref())
	must(t, err)
	if now.ID != c.ID || now.State != records.Active || now.Grant == c.Grant || !in.deleted(c.Grant) {
		t.Errorf("the connection is %s by %s, which was %s; want the same one, by a grant of the new app alone", now.State, now.Grant, c.Grant)
	}
}

// The user info endpoint failed at first.
func TestAReconnectLinkWorksForAnAccountThatWasUnknown(t *testing.T) {
	t.Parallel()
	provider, silent := http.NewServeMux(), &atomic.Bool{}
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") == "refresh_token" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"r","expires_in":3600}`))
	})
	provider.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) {
		if silent.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(`{"sub":"u1"}`))
	})
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), nil))
	silent.Store(true)
	in.connectWithCode("gone")
	silent.Store(false)
	ref := records.NewRef(acme, "gone", "")
	c, err := in.front.Service.Latest(t.Context(), ref)
	must(t, err)
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), c.Grant); err == nil {
		t.Fatal("got a token that was refused")
	}
	_, start, _ := testenv.NewBrowser(t).Get(in.front.Links.ReconnectURL(c))
	if status, body, _ := in.authorize(testenv.NewBrowser(t), start, ""); status != http.StatusOK {
		t.Errorf("the link: got %d %s", status, body)
	}
	now, err := in.front.Service.Latest(t.Context(), ref)
	must(t, err)
	if now.ID != c.ID || now.State != records.Active || in.grant(now.Grant).Account != "u1" {
		t.Errorf("the connection is %s, of %q; want the same one active, of u1", now.State, in.grant(now.Grant).Account)
	}
}

// A wrong client id is the operator's mistake, and does not end a grant.
func TestAWrongClientIDDoesNotRevokeAGrant(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.setApp("demo-oauth", records.App{ClientID: "mistyped", ClientSecrets: demoApp.ClientSecrets})
	fault(t, p, "token", "invalid_grant", 1)
	in.expire(grant)
	_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) || !strings.Contains(err.Error(), "client id") {
		t.Errorf("got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED, which names the client id", err)
	}
	if g := in.grant(grant); g.State != records.GrantLive || g.RetryAt.IsZero() {
		t.Errorf("the grant is %s, to be retried at %s; want it live, with a backoff", g.State, g.RetryAt)
	}
	fault(t, p, "token", "none", 0)
	in.setApp("demo-oauth", demoApp)
	_, err = in.front.OAuth.Source.RenewNow(t.Context(), grant)
	must(t, err)
}

// A reconnect link renews tokens; it does not enable a connection.
func TestAReconnectLinkKeepsAConnectionDisabled(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	c := in.connectChat(t, "")
	in.call(http.MethodPost, onChat+"/toggle", nil, nil)
	_, start, _ := testenv.NewBrowser(t).Get(in.refuseGrant(t, w, c))
	in.finishChat(t, start)
	now, err := in.front.Service.Latest(t.Context(), c.Ref())
	must(t, err)
	if now.ID != c.ID || now.State != records.Disabled || now.Resumes != "" {
		t.Errorf("the connection is %s, and would be %s; want disabled, and active when it is enabled", now.State, now.Resumes)
	}
	in.call(http.MethodPost, onChat+"/toggle", nil, nil)
	in.runExecutor(t)
	if failures := in.act(t, "chat", "both", 1, "both"); len(failures) > 0 {
		t.Errorf("when it is enabled: %s", failures[0])
	}
}

// A revoked grant that several connections share is authorised again, and the connection
// of that flow is not stored. The others have tokens again.
func TestAFailedConnectReactivatesTheOtherConnections(t *testing.T) {
	t.Parallel()
	in, p, hook := withHook(t, "connections")
	grant := in.connectDemo()
	in.expire(grant)
	fault(t, p, "token", "invalid_grant", 1)
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil || in.demoConnection().State != records.NeedsReauth {
		t.Fatalf("got %v, the connection is %s", err, in.demoConnection().State)
	}
	b := testenv.NewBrowser(t)
	callback := in.begin(b, onDemo+"?account=second", map[string]any{}, approve)
	hook(func(op, key string, do func() error) error {
		if op == "create" {
			return kvstore.ErrTooLarge
		}
		return do()
	})
	if status, _, _ := b.Get(callback); status == http.StatusOK {
		t.Error("the second connected")
	}
	if c := in.demoConnection(); c.State != records.Active {
		t.Errorf("the other connection is %s, want active: its grant is %s", c.State, in.grant(grant).State)
	}
	in.expectUsable(t)
}

// The process that authorised a revoked grant ended before it reactivated its
// connections.
func TestARefreshReactivatesAConnectionOfALiveGrant(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	grant := in.connectDemo()
	must(t, in.front.Service.MarkNeedsReauth(t.Context(), onAcme, grant, func(*records.Connection) events.Data { return events.Data{} }))
	if c := in.demoConnection(); c.State != records.NeedsReauth {
		t.Fatalf("the connection is %s", c.State)
	}
	_, err := in.front.OAuth.Source.RenewNow(t.Context(), grant)
	must(t, err)
	if c := in.demoConnection(); c.State != records.Active {
		t.Errorf("the connection is %s, want active", c.State)
	}
}
