package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// longLived is a provider whose code yields a token of an hour, which is exchanged for
// one of sixty days, and that for the next while it is valid.
type longLived struct {
	mu    sync.Mutex
	asked []string
	n     int
	over  bool
}

func (l *longLived) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = r.ParseForm()
	grant := r.FormValue("grant_type")
	asked := r.Method + " " + r.URL.Path + " " + grant
	if grant == "authorization_code" {
		_, _ = w.Write([]byte(`{"access_token":"short","user_id":"u1","expires_in":3600}`))
	} else {
		for _, name := range []string{"client_id", "client_secret", "access_token"} {
			if r.URL.Query().Has(name) {
				asked += " " + name + "=" + r.URL.Query().Get(name)
			}
		}
		if len(r.PostForm) > 0 || r.Header.Get("Authorization") != "" || l.over {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"type":"OAuthException","code":190}}`))
		} else {
			l.n++
			_, _ = fmt.Fprintf(w, `{"access_token":"long-%d","expires_in":5184000}`, l.n)
		}
	}
	l.asked = append(l.asked, asked)
}

func (l *longLived) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

func TestATokenWithoutARefreshTokenIsExchanged(t *testing.T) {
	t.Parallel()
	provider := &longLived{}
	server := newServer(t, provider)
	in := installWithApp(t, nil, oauthConnector("photos", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL, o.TokenFields = "", "", map[string]string{"account": "user_id"}
		o.Exchange = &connectors.Exchange{URL: server + "/access_token", Method: http.MethodGet, GrantType: "ig_exchange_token", TokenParam: "access_token", Omit: []string{"client_id"}}
		o.Renewal = &connectors.Exchange{URL: server + "/refresh_access_token", Method: http.MethodGet, GrantType: "ig_refresh_token", TokenParam: "access_token", Omit: []string{"client_id", "client_secret"}}
	}))
	in.connectWithCode("photos")
	c := in.connection("photos", "")
	g := in.grant(c.Grant)
	if left := time.Until(g.ExpiresAt); g.Account != "u1" || left < 59*24*time.Hour {
		t.Errorf("the grant is of %q and has %s left, want the account of the first reply and the life of the second", g.Account, left)
	}
	// An hour later the token is not due; six days before its expiry it is.
	age := func(left time.Duration) {
		for {
			g = in.grant(c.Grant)
			g.IssuedAt, g.ExpiresAt, g.RetryAt = time.Now().Add(left-60*24*time.Hour), time.Now().Add(left), time.Time{}
			if in.front.grants.Save(t.Context(), g) == nil {
				return
			}
		}
	}
	for _, left := range []time.Duration{60*24*time.Hour - time.Hour, 6 * 24 * time.Hour} {
		age(left)
		_, err := in.front.tokens.Source.RenewIfDue(t.Context(), in.grant(c.Grant), nil)
		must(t, err)
	}
	want := []string{
		"POST /token authorization_code",
		"GET /access_token ig_exchange_token client_secret=demo-secret access_token=short",
		"GET /refresh_access_token ig_refresh_token access_token=long-1",
	}
	if diff := cmp.Diff(want, provider.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
	// While the token is valid, a refusal is retried; after its expiry it is final.
	provider.mu.Lock()
	provider.over = true
	provider.mu.Unlock()
	age(time.Hour)
	if _, err := in.front.tokens.Source.RenewIfDue(t.Context(), in.grant(c.Grant), nil); err == nil || in.grant(c.Grant).State != records.GrantLive {
		t.Errorf("refused while it is good: got %v, the grant is %s; want an error, and a live grant", err, in.grant(c.Grant).State)
	}
	age(-time.Hour)
	if _, err := in.front.tokens.Source.Fresh(t.Context(), c.Grant); err == nil || in.grant(c.Grant).State != records.GrantRevoked {
		t.Errorf("refused after its end: got %v, the grant is %s; want that it needs a new authorisation", err, in.grant(c.Grant).State)
	}
}

func TestAnExchangeRequestFollowsTheDefinition(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		with func(o *connectors.OAuth2)
		want request
	}{{
		name: "RFC 8693",
		with: func(o *connectors.OAuth2) {
			o.Exchange = &connectors.Exchange{Params: map[string]string{"audience": "a"}}
		},
		want: request{Path: "/token", Kind: "application/x-www-form-urlencoded", Params: map[string]string{
			"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "tok", "audience": "a", "client_id": "demo-client", "client_secret": "demo-secret"}},
	}, {
		name: "by GET",
		with: func(o *connectors.OAuth2) {
			o.Exchange = &connectors.Exchange{URL: o.TokenURL + "/long", Method: http.MethodGet, GrantType: "fb_exchange_token", TokenParam: "fb_exchange_token"}
		},
		want: request{Path: "/token/long", Params: map[string]string{
			"grant_type": "fb_exchange_token", "fb_exchange_token": "tok", "client_id": "demo-client", "client_secret": "demo-secret"}},
	}, {
		name: "renamed, as JSON, with the client in a header",
		with: func(o *connectors.OAuth2) {
			o.ClientAuth, o.TokenBody, o.ParamNames = connectors.ClientAuthBasic, connectors.TokenBodyJSON, map[string]string{"grant_type": "kind"}
			o.Exchange = &connectors.Exchange{GrantType: "long"}
		},
		want: request{Path: "/token", Kind: "application/json", Basic: "demo-client", Params: map[string]string{"kind": "long", "subject_token": "tok"}},
	}, {
		name: "without the client",
		with: func(o *connectors.OAuth2) {
			o.ClientAuth = connectors.ClientAuthBasic
			o.Exchange = &connectors.Exchange{GrantType: "long", Omit: []string{"client_id", "client_secret"}}
		},
		want: request{Path: "/token", Kind: "application/x-www-form-urlencoded", Params: map[string]string{"grant_type": "long", "subject_token": "tok"}},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			provider := &recorder{}
			in := installWithApp(t, nil, oauthConnector("p", newServer(t, provider), func(o *connectors.OAuth2) { o.UserInfoURL = ""; tc.with(o) }))
			if location := in.connectWithCode("p"); !strings.Contains(location, "status=success") {
				t.Fatalf("connect: got %s", location)
			}
			provider.mu.Lock()
			defer provider.mu.Unlock()
			if len(provider.asked) != 2 {
				t.Fatalf("the provider was asked %v, want the code and the exchange", provider.asked)
			}
			if diff := cmp.Diff(tc.want, provider.asked[1]); diff != "" {
				t.Errorf("the exchange (-want +got):\n%s", diff)
			}
		})
	}
}

// A failed exchange leaves no connection, and the first token is revoked.
func TestAfterAFailedExchangeTheFirstTokenIsRevoked(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") == "authorization_code" {
			_, _ = w.Write([]byte(`{"access_token":"short","expires_in":3600}`))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), func(o *connectors.OAuth2) {
		o.UserInfoURL, o.Exchange = "", &connectors.Exchange{}
	}))
	if location := in.connectWithCode("gone"); !strings.Contains(location, "CONNECTOR_OAUTH_TOKEN_FAILED") {
		t.Errorf("connect: got %s, want CONNECTOR_OAUTH_TOKEN_FAILED", location)
	}
	provider.revoked(t, "short")
}

// audiences is a provider whose tokens are each for one audience. It rotates refresh
// tokens, and revokes the grant when one is used twice.
type audiences struct {
	mu           sync.Mutex
	n            int
	revokedGrant bool
	asked        []string               // per request: of the main token, or for files
	revoked      string                 // an access token that is refused, whatever its age
	drops        int                    // answers that are lost after the rotation
	during       atomic.Pointer[func()] // is done, once, while a refresh is under way
}

func (a *audiences) current() string { return fmt.Sprint("refresh-", a.n) }

func (a *audiences) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") == "refresh_token" {
		if during := a.during.Swap(nil); during != nil {
			(*during)()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/revoke" {
		a.asked = append(a.asked, "revoked "+r.FormValue("token"))
		return
	}
	word := "main"
	rotates := true
	switch r.FormValue("grant_type") {
	case "authorization_code":
		word = "code"
	case "refresh_token":
		if r.FormValue("scope") == "files.read" {
			word = "files"
		}
		if a.revokedGrant || r.FormValue("refresh_token") != a.current() {
			a.revokedGrant, word = true, "refused "+word
		}
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		word, rotates = "exchanged", false
		shown := r.FormValue("subject_token")
		if r.FormValue("audience") != "files" || r.FormValue("subject_token_type") != "urn:ietf:params:oauth:token-type:access_token" ||
			r.FormValue("client_id") != "demo-client" || r.FormValue("client_secret") != "demo-secret" || shown != fmt.Sprint("main-", a.n) || shown == a.revoked {
			word = "refused exchange"
		}
	}
	a.asked = append(a.asked, word)
	if strings.HasPrefix(word, "refused") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	if !rotates {
		_, _ = fmt.Fprintf(w, `{"access_token":"files-%d","expires_in":3600}`, a.n)
		return
	}
	a.n++
	if a.drops > 0 {
		a.drops--
		panic(http.ErrAbortHandler)
	}
	audience := "main"
	if word == "files" {
		audience = word
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"%s-%d","refresh_token":%q,"expires_in":3600}`, audience, a.n, a.current())
}

func (a *audiences) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// withFiles returns a connection with a companion for another audience at another URL;
// files records the tokens that were presented there.
func withFiles(t *testing.T, how *connectors.Exchange) (in *installation, a *audiences, c *records.Connection, files *audience) {
	t.Helper()
	a, files = &audiences{}, &audience{}
	server, other := newServer(t, a), newServer(t, files)
	def := oauthConnector("drive", server, func(o *connectors.OAuth2) {
		o.UserInfoURL = ""
		o.Companions = map[string]connectors.Companion{"files": {Exchange: how, BaseURL: other + "/v1"}}
	})
	def.Actions = []connectors.Action{connectors.NewAction("list", func(ctx context.Context, call *connectors.Call, in struct{}) (struct{}, error) {
		as, err := call.WithCompanion(ctx, "files")
		if err != nil {
			return in, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, as.BaseURL+"/list", nil)
		if err != nil {
			return in, err
		}
		resp, err := as.HTTP.Do(req)
		if err != nil {
			return in, err
		}
		return in, resp.Body.Close()
	}, &connectors.ActionOptions{Idempotent: true, MaxAttempts: 10})}
	in = installWithApp(t, &options{CallTimeout: 5 * time.Second}, def)
	in.connectWithCode("drive")
	c = in.connection("drive", "")
	return in, a, c, files
}

// audience is an API that records the tokens that it receives.
type audience struct {
	mu    sync.Mutex
	shown map[string]int
}

func (f *audience) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shown == nil {
		f.shown = map[string]int{}
	}
	f.shown[r.URL.Path+" "+r.Header.Get("Authorization")]++
}

func (f *audience) seen() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for what, n := range f.shown {
		out[what] = n
	}
	return out
}

func TestACompanionIsExchangedForTheMainToken(t *testing.T) {
	t.Parallel()
	in, a, c, files := withFiles(t, byAudience)
	if got := a.requests(); len(got) != 1 {
		t.Errorf("the provider was asked %v, want the code alone until somebody needs more", got)
	}
	nodes := []*node{in.runExecutor(t), in.runExecutor(t)}
	in.expireFor(t, nodes, c.Grant) // the main token has to come first
	if failures := in.act(t, "drive", "list", 32, "list"); len(failures) > 0 {
		t.Fatalf("%d of 32 actions failed, the first with %s", len(failures), failures[0])
	}
	if diff := cmp.Diff([]string{"code", "main", "exchanged"}, a.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"/v1/list Bearer files-2": 32}, files.seen()); diff != "" {
		t.Errorf("shown to the audience (-want +got):\n%s", diff)
	}
	// A main token that was revoked early is renewed once before the companion's request
	// fails.
	a.mu.Lock()
	a.revoked = "main-2"
	a.mu.Unlock()
	_, err := in.front.tokens.Source.RenewNow(t.Context(), c.Companions["files"])
	must(t, err)
	if diff := cmp.Diff([]string{"refused exchange", "main", "exchanged"}, a.requests()[3:]); diff != "" {
		t.Errorf("then it was asked (-want +got):\n%s", diff)
	}
}

// A companion that was never used has no token to revoke.
func TestACompanionWithoutATokenIsNotRevoked(t *testing.T) {
	t.Parallel()
	in, a, c, _ := withFiles(t, byAudience)
	must(t, in.front.tokens.Connections.Disconnect(t.Context(), c.Ref()))
	if diff := cmp.Diff([]string{"code", "revoked refresh-1"}, a.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
	if !in.deleted(c.Companions["files"]) {
		t.Error("the companion's grant is still there")
	}
}

// A companion's exchange spends the main grant's refresh token under the main grant's
// lease, and stores the successor there.
func TestACompanionExchangeSpendsTheMainRefreshTokenOnce(t *testing.T) {
	t.Parallel()
	in, a, c, files := withFiles(t, byScope)
	nodes := []*node{in.join(t), in.join(t), in.join(t), in.join(t)}
	companion := c.Companions["files"]
	for round := range rounds(t, 4) {
		in.expire(c.Grant)
		in.expire(companion)
		var all sync.WaitGroup
		for i := range 64 {
			grant := []string{c.Grant, companion}[i/4%2]
			all.Go(func() {
				if _, err := nodes[i%4].tokens.Source.Fresh(t.Context(), grant); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		got := a.requests()[1+2*round:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"files", "main"}) {
			t.Fatalf("round %d: the provider was asked %v, want once for each", round, got)
		}
	}
	if g := in.grant(companion); g.RefreshToken != "" || in.grant(c.Grant).Intent != nil {
		t.Error("the companion has a refresh token, or the main grant an intent")
	}
	in.runExecutor(t)
	if failures := in.act(t, "drive", "list", 1, "list"); len(failures) > 0 || len(files.seen()) != 1 {
		t.Errorf("%v; the audience was shown %v", failures, files.seen())
	}
}

// The response to a companion's exchange is lost, and with it the successor of the main
// refresh token. The main grant's intent records that.
func TestALostExchangeIsRecordedInTheMainGrant(t *testing.T) {
	t.Parallel()
	in, a, c, _ := withFiles(t, byScope)
	a.mu.Lock()
	a.drops = 1
	a.mu.Unlock()
	if _, err := in.front.tokens.Source.Fresh(t.Context(), c.Companions["files"]); err == nil {
		t.Fatal("a lost answer gave a token")
	}
	if g := in.grant(c.Grant); g.Intent == nil || g.State != records.GrantLive {
		t.Errorf("the main grant is %s, with the intent %v; want it live, with one", g.State, g.Intent)
	}
	for { // the backoff is over
		g := in.grant(c.Companions["files"])
		if g.RetryAt = (time.Time{}); in.front.grants.Save(t.Context(), g) == nil {
			break
		}
	}
	if _, err := in.front.tokens.Source.Fresh(t.Context(), c.Companions["files"]); err == nil {
		t.Error("got a token for a refresh token that was spent")
	}
	if diff := cmp.Diff([]string{"code", "files", "refused main"}, a.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
	if g := in.grant(c.Grant); g.State != records.GrantRevoked {
		t.Errorf("the main grant is %s, want that it needs a new authorisation, as its refresh token is lost", g.State)
	}
}

var (
	byAudience = &connectors.Exchange{Params: map[string]string{"audience": "files", "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}}
	byScope    = &connectors.Exchange{GrantType: "refresh_token", Token: "refresh_token", TokenParam: "refresh_token", Params: map[string]string{"scope": "files.read"}}
)
