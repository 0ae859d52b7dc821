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
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
)

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
	nodes := []*testenv.Node{in.runExecutor(t), in.runExecutor(t)}
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
	_, err := in.front.OAuth.Source.RenewNow(t.Context(), c.Companions["files"])
	must(t, err)
	if diff := cmp.Diff([]string{"refused exchange", "main", "exchanged"}, a.requests()[3:]); diff != "" {
		t.Errorf("then it was asked (-want +got):\n%s", diff)
	}
}

// A companion that was never used has no token to revoke.
func TestACompanionWithoutATokenIsNotRevoked(t *testing.T) {
	t.Parallel()
	in, a, c, _ := withFiles(t, byAudience)
	must(t, in.front.OAuth.Connections.Disconnect(t.Context(), c.Ref()))
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
	nodes := []*testenv.Node{in.front.Join(t), in.front.Join(t), in.front.Join(t), in.front.Join(t)}
	companion := c.Companions["files"]
	for round := range rounds(t, 4) {
		in.expire(c.Grant)
		in.expire(companion)
		var all sync.WaitGroup
		for i := range 64 {
			grant := []string{c.Grant, companion}[i/4%2]
			all.Go(func() {
				if _, err := nodes[i%4].OAuth.Source.Fresh(t.Context(), grant); err != nil {
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
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Companions["files"]); err == nil {
		t.Fatal("a lost answer gave a token")
	}
	if g := in.grant(c.Grant); g.Intent == nil || g.State != records.GrantLive {
		t.Errorf("the main grant is %s, with the intent %v; want it live, with one", g.State, g.Intent)
	}
	for { // the backoff is over
		g := in.grant(c.Companions["files"])
		if g.RetryAt = (time.Time{}); in.front.Grants.Save(t.Context(), g) == nil {
			break
		}
	}
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Companions["files"]); err == nil {
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
