package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// workspace is a provider that issues a bot's and a user's token in one response, and
// refreshes each separately, with rotation and reuse detection.
type workspace struct {
	*http.ServeMux
	mu        sync.Mutex
	user      string // who authorises
	team      string // and where
	silent    bool   // gives no user's token
	refuse    string // refuses to renew tokens that begin with it
	n         int
	spent     map[string]bool
	live      map[string]string // refresh token → access token
	refreshes map[string]int    // bot, user → how often
	reuses    int
	revoked   []string
	served    []string // the Authorization headers of API calls that were accepted
}

func newWorkspace() *workspace {
	w := &workspace{ServeMux: http.NewServeMux(), user: "U1", team: "T1", spent: map[string]bool{}, live: map[string]string{}, refreshes: map[string]int{}}
	w.HandleFunc("POST /token", w.token)
	w.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.revoked = append(w.revoked, w.kind(r.FormValue("token")))
	})
	w.HandleFunc("GET /api/me", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		for _, access := range w.live {
			if access == token {
				w.served = append(w.served, w.kind(token))
				return
			}
		}
		rw.WriteHeader(http.StatusUnauthorized)
	})
	return w
}

// kind returns whose a token is: "bot", or "U1".
func (w *workspace) kind(token string) string {
	kind, _, _ := strings.Cut(token, "-")
	return kind
}

func (w *workspace) pair(kind string) string {
	w.n++
	access, refresh := fmt.Sprintf("%s-access-%d", kind, w.n), fmt.Sprintf("%s-refresh-%d", kind, w.n)
	w.live[refresh] = access
	return fmt.Sprintf(`"access_token":%q,"refresh_token":%q,"expires_in":43200`, access, refresh)
}

func (w *workspace) token(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.FormValue("grant_type") == "authorization_code" {
		user := ""
		if !w.silent {
			user = fmt.Sprintf(`,"scope":"search:read",%s`, w.pair(w.user))
		}
		_, _ = fmt.Fprintf(rw, `{"ok":true,%s,"scope":"chat:write","team":{"id":%q},"authed_user":{"id":%q%s}}`, w.pair("bot"), w.team, w.user, user)
		return
	}
	old := r.FormValue("refresh_token")
	kind := w.kind(old)
	switch {
	case w.spent[old]:
		w.reuses++
		fallthrough
	case w.live[old] == "", w.refuse != "" && kind == w.refuse:
		_, _ = rw.Write([]byte(`{"ok":false,"error":"invalid_refresh_token"}`))
		return
	}
	delete(w.live, old)
	w.spent[old] = true
	w.refreshes[kind]++
	_, _ = fmt.Fprintf(rw, `{"ok":true,%s,"team":{"id":"T1"}}`, w.pair(kind))
}

// with runs f under the lock.
func (w *workspace) with(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// chat is a connector for it. Its action calls the API as the bot, and as the user.
func chat(server string) connectors.Connector {
	c := oauthConnector("chat", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.ScopeSeparator, o.Scopes = "", ",", []string{"chat:write"}
		o.TokenFields = map[string]string{"account": "team.id"}
		o.Companions = map[string]connectors.Companion{"user": {
			TokenFields: map[string]string{
				"access_token": "authed_user.access_token", "refresh_token": "authed_user.refresh_token",
				"expires_in": "authed_user.expires_in", "scope": "authed_user.scope", "account": "authed_user.id",
			},
			Scopes: []string{"search:read", "users:read"}, ScopeParam: "user_scope",
		}}
	})
	both := func(ctx context.Context, call *connectors.Call, in struct{}) (struct{}, error) {
		if _, err := get(ctx, call, in); err != nil {
			return in, err
		}
		user, err := call.WithCompanion(ctx, "user")
		if err != nil {
			return in, err
		}
		return get(ctx, user, in)
	}
	c.Actions = append(c.Actions, connectors.NewAction("both", both, &connectors.ActionOptions{Idempotent: true, MaxAttempts: 10}))
	return c
}

func withChat(t *testing.T) (in *installation, w *workspace) {
	t.Helper()
	w = newWorkspace()
	in = installWithApp(t, nil, chat(newServer(t, w)))
	return in, w
}

const onChat = "/scopes/organization/acme/connections/chat"

// connectChat connects an account of the connector, and returns its record.
func (in *installation) connectChat(t *testing.T, account string) *records.Connection {
	t.Helper()
	in.finishChat(t, in.start(onChat+"?replace=true&account="+account, map[string]any{}))
	return in.connection("chat", account)
}

// answerChat goes through the flow, and returns how it ended.
func (in *installation) answerChat(t *testing.T, start string) (status int, body string) {
	t.Helper()
	status, body, _ = in.authorize(testenv.NewBrowser(t), start, "")
	return status, body
}

// finishChat goes through the flow, and returns the authorization request.
func (in *installation) finishChat(t *testing.T, start string) (request url.Values) {
	t.Helper()
	status, body, request := in.authorize(testenv.NewBrowser(t), start, "")
	if status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, body)
	}
	return request
}

func TestABotAndAUserInOneConnection(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	started := in.start(onChat, map[string]any{})
	if asked := in.finishChat(t, started); asked.Get("scope") != "chat:write" || asked.Get("user_scope") != "search:read,users:read" {
		t.Errorf("asked for %v, want the scopes of both", asked)
	}
	in.runExecutor(t)
	if failures := in.act(t, "chat", "both", 1, "both"); len(failures) > 0 {
		t.Fatalf("as both: %s", failures[0])
	}
	w.with(func() {
		if diff := cmp.Diff([]string{"bot", "U1"}, w.served); diff != "" {
			t.Errorf("who asked (-want +got):\n%s", diff)
		}
	})
	var v connection.View
	in.call(http.MethodGet, onChat, nil, &v)
	if user := v.Companions["user"]; user.State != records.GrantLive || !slices.Equal(user.GrantedScopes, []string{"search:read"}) || user.ExpiresAt == nil {
		t.Errorf("shown: %+v, want the user's token with its scopes and its end", v.Companions)
	}
	var runtime connection.Runtime
	in.call(http.MethodPost, onChat+"/resolve", nil, &runtime)
	if !strings.HasPrefix(runtime.Headers["Authorization"], "Bearer bot-access-") {
		t.Error("resolve does not give the bot's token")
	}
	in.call(http.MethodPost, onChat+"/refresh", nil, nil)
	in.call(http.MethodDelete, onChat, nil, nil)
	testenv.Eventually(t, "both to be revoked", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		slices.Sort(w.revoked)
		return slices.Equal(w.revoked, []string{"U1", "bot"})
	})
	w.with(func() {
		if diff := cmp.Diff(map[string]int{"bot": 1, "U1": 1}, w.refreshes); diff != "" || w.reuses > 0 {
			t.Errorf("%d reuses; refreshes (-want +got):\n%s", w.reuses, diff)
		}
	})
}

// 64 actions on four executors need both tokens, which have expired, while the timers of
// both fire.
func TestCompanionsAreEachRenewedOnce(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	c := in.connectChat(t, "")
	nodes := []*testenv.Node{in.runRefresher(t)}
	for range 4 {
		nodes = append(nodes, in.runExecutor(t))
	}
	for round := range rounds(t, 3) {
		for _, grant := range []string{c.Grant, c.Companions["user"]} {
			in.expireFor(t, nodes, grant)
			must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, in.grant(grant).ExpiresAt))
		}
		if failures := in.act(t, "chat", "both", 64, fmt.Sprint("round-", round)); len(failures) > 0 {
			t.Fatalf("round %d: %d of 64 actions failed, the first with %s", round, len(failures), failures[0])
		}
		w.with(func() {
			if diff := cmp.Diff(map[string]int{"bot": round + 1, "U1": round + 1}, w.refreshes); diff != "" || w.reuses > 0 {
				t.Fatalf("round %d: %d reuses; refreshes (-want +got):\n%s", round, w.reuses, diff)
			}
		})
	}
}

func TestAConnectionWorksWithoutItsCompanion(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	w.silent = true
	if c := in.connectChat(t, ""); c.State != records.Active || len(c.Companions) > 0 {
		t.Fatalf("the connection is %s with %v, want active, without the user", c.State, c.Companions)
	}
	in.runExecutor(t)
	if failures := in.act(t, "chat", "get", 1, "bot"); len(failures) > 0 {
		t.Errorf("as the bot: %s", failures[0])
	}
	failures := in.act(t, "chat", "both", 1, "both")
	if len(failures) != 1 || !strings.Contains(failures[0], "CONNECTOR_OAUTH_REFRESH_FAILED") || !strings.Contains(failures[0], `"missing"`) {
		t.Errorf("as the user: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED, missing", failures)
	}
}

// The user's token is refused for good. That is published once, with a link that leads
// to a new one; the connection stays active.
func TestARevokedCompanionKeepsTheConnectionActive(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	c := in.connectChat(t, "")
	w.refuse = "U1"
	in.expire(c.Grant)
	in.expire(c.Companions["user"])
	in.runExecutor(t)
	for i := range 2 {
		failures := in.act(t, "chat", "both", 1, fmt.Sprint("both-", i))
		if len(failures) != 1 || !strings.Contains(failures[0], "CONNECTOR_OAUTH_REFRESH_FAILED") || !strings.Contains(failures[0], "invalid_refresh_token") {
			t.Errorf("as the user: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED with the provider's word", failures)
		}
	}
	var v connection.View
	in.call(http.MethodGet, onChat, nil, &v)
	if v.State != records.Active || v.Companions["user"].State != records.GrantRevoked {
		t.Errorf("the connection is %s, the user %s; want active, needs_reauth", v.State, v.Companions["user"].State)
	}
	published := in.failures()
	if len(published) != 1 || published[0].Operation != "refresh user" || published[0].URL == "" || slices.Contains(in.kinds(), "oauth.needs_reauth") {
		t.Fatalf("published %+v, want one event with a link", published)
	}
	w.with(func() { w.team = "T2" })
	_, start, _ := testenv.NewBrowser(t).Get(published[0].URL)
	if status, body := in.answerChat(t, start); status != http.StatusBadRequest || !strings.Contains(body, "mismatch") {
		t.Errorf("the link for another team: got %d %s, want 400 mismatch", status, body)
	}
	w.with(func() { w.team = "T1" })
	_, start, _ = testenv.NewBrowser(t).Get(published[0].URL)
	in.finishChat(t, start)
	w.with(func() { w.refuse = "" })
	if failures := in.act(t, "chat", "both", 1, "again"); len(failures) > 0 {
		t.Errorf("after the link: %s", failures[0])
	}
	if status, _, body := testenv.NewBrowser(t).Get(published[0].URL); status != http.StatusBadRequest || !strings.Contains(body, "replayed") {
		t.Errorf("the link once more: got %d %s, want 400 replayed", status, body)
	}
}

// Connections to one team share the bot's grant; those of one user in it share the
// user's too.
func TestConnectionsShareCompanionsOfTheirUser(t *testing.T) {
	t.Parallel()
	in, w := withChat(t)
	first, second := in.connectChat(t, ""), in.connectChat(t, "second")
	w.with(func() { w.user = "U2" })
	third := in.connectChat(t, "third")
	if first.Grant != second.Grant || first.Grant != third.Grant {
		t.Error("the connections of one team do not share the bot")
	}
	if a, b, c := first.Companions["user"], second.Companions["user"], third.Companions["user"]; a == "" || a != b || a == c || c == "" {
		t.Errorf("users' grants: %s %s %s, want the first two the same", a, b, c)
	}
	must(t, in.front.OAuth.Connections.Disconnect(t.Context(), first.Ref()))
	must(t, in.front.OAuth.Connections.Disconnect(t.Context(), third.Ref()))
	w.with(func() {
		if diff := cmp.Diff([]string{"U2"}, w.revoked); diff != "" {
			t.Errorf("revoked while one is left (-want +got):\n%s", diff)
		}
	})
	if g := in.grant(second.Companions["user"]); len(g.References) != 1 || g.State != records.GrantLive {
		t.Errorf("the user's grant is %s, used by %v; want it live, used by the one that is left", g.State, g.References)
	}
	again := in.connectChat(t, "second") // by U2, who replaces U1
	if again.Companions["user"] == second.Companions["user"] || !in.deleted(second.Companions["user"]) {
		t.Error("the grant of the replaced user is still stored")
	}
	if got := slices.Collect(grantsOf(t, in.front, acme)); len(got) != 2 {
		t.Errorf("%d grants are left, want the bot's and the user's", len(got))
	}
}

// expireFor makes the stored access token look expired, and waits until all caches have
// that.
func (in *installation) expireFor(t *testing.T, nodes []*testenv.Node, grant string) {
	t.Helper()
	expired := in.expire(grant)
	for _, n := range nodes {
		testenv.Eventually(t, "the caches of all to know", func() bool {
			g, err := n.Grants.Get(t.Context(), grant)
			return err == nil && !g.ExpiresAt.After(expired.ExpiresAt)
		})
	}
}

// grantsOf returns the grants of a tenant.
func grantsOf(t *testing.T, n *testenv.Node, tenant events.Tenant) func(func(*records.Grant) bool) {
	return func(yield func(*records.Grant) bool) {
		for g, err := range n.Grants.List(t.Context(), tenant.Tokens()+".>") {
			must(t, err)
			if !yield(g) {
				return
			}
		}
	}
}
