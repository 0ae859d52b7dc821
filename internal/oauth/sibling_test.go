package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// bury has the provider refuse the connection's grant, and returns the link that its
// owner is told.
func (in *installation) bury(t *testing.T, w *workspace, c *connection.Connection) (link string) {
	t.Helper()
	w.with(func() { w.refuse = "bot" })
	in.expire(c.Grant)
	if _, err := in.front.tokens.Now(t.Context(), c.Grant); err == nil {
		t.Fatal("got a token that was refused")
	}
	w.with(func() { w.refuse = "" })
	c, err := in.front.service.Latest(t.Context(), c.Ref())
	must(t, err)
	return in.front.tokens.ReconnectURL(c)
}

// A link is followed in another workspace, to which the tenant is connected elsewhere.
// What came of it is of no use, but it is not only the link's.
func TestAMismatchSparesASiblingsGrant(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	first := in.connectChat(t, "")
	w.with(func() { w.team, w.user = "T2", "U2" })
	second := in.connectChat(t, "second")
	link := in.bury(t, w, first)
	for _, tc := range []struct {
		team, user string
		revoked    []string
	}{{"T2", "U2", nil}, {"T2", "U3", []string{"U3"}}, {"T3", "U4", []string{"U3", "bot", "U4"}}} {
		w.with(func() { w.team, w.user = tc.team, tc.user })
		_, start, _ := newBrowser(t).get(link)
		if status, body := in.answerChat(t, start); status != http.StatusBadRequest || !strings.Contains(body, "mismatch") {
			t.Errorf("the link in %s: got %d %s, want 400 mismatch", tc.team, status, body)
		}
		w.with(func() {
			if diff := cmp.Diff(tc.revoked, w.revoked); diff != "" {
				t.Errorf("revoked after %s in %s (-want +got):\n%s", tc.user, tc.team, diff)
			}
		})
	}
	if g := in.grant(second.Grant); g.State != connection.GrantLive {
		t.Errorf("the sibling's grant is %s", g.State)
	}
}

// A trade fails before anybody has asked whose the token is.
func TestAFailedTradeSparesASiblingsGrant(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	trades := 0
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") != "authorization_code" {
			if trades++; trades > 1 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		_, _ = w.Write([]byte(`{"access_token":"same","expires_in":3600}`))
	})
	provider.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"sub":"u1"}`)) })
	in := install(t, nil, oauthConnector("gone", newServer(t, provider), func(o *connectors.OAuth2) { o.Exchange = &connectors.Exchange{} }))
	in.setApp("gone", demoApp)
	in.connectBlindly("gone")
	if location := in.connectBlindly("gone?account=second"); !strings.Contains(location, "CONNECTOR_OAUTH_TOKEN_FAILED") {
		t.Errorf("connect: got %s, want CONNECTOR_OAUTH_TOKEN_FAILED", location)
	}
	if got := provider.seen(); len(got) > 0 {
		t.Errorf("revoked %v, want nothing: a sibling lives by it", got)
	}
}
