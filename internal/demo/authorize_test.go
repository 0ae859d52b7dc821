package demo_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/demo"
)

// authorizeURL is a good authorization request with some parameters replaced;
// an empty value removes the parameter.
func (b *bench) authorizeURL(pairs ...string) string {
	q := url.Values{
		"client_id": {demo.ClientID}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"s&t"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return b.URL() + "/authorize?" + q.Encode()
}

func TestTheConsentPageIsEscapedAndBoundByACSP(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	a := wantStatus(t, b.do("GET", b.authorizeURL("redirect_uri", callback+`&x="><script>alert(1)</script>`, "scope", "read write"), ""), 200)
	if strings.Contains(a.Body, "<script") || !strings.Contains(a.Body, "&lt;script&gt;") {
		t.Errorf("the page is not escaped: %s", a.Body)
	}
	for _, want := range []string{`method="post"`, `value="approve"`, `value="deny"`, "ava@example.com", "ben@example.com", "<code>write</code>"} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("the page lacks %s: %s", want, a.Body)
		}
	}
	if strings.Contains(a.Body, "s&amp;t") || strings.Contains(strings.ReplaceAll(a.Body, callback, ""), "://") && strings.Contains(a.Body, "src=") {
		t.Errorf("the page shows the state, or loads something: %s", a.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.Header.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestTheAnswerKeepsTheQueryAndNamesTheIssuer(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got := b.form(b.authorizeURL(), url.Values{"decision": {"approve"}, "user": {"ben"}}).location(t)
	if got.Get("code") == "" {
		t.Fatalf("no code: %v", got)
	}
	got.Del("code")
	want := url.Values{"tenant": {"1"}, "state": {"s&t"}, "iss": {b.URL()}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestDenyingTellsTheClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got := b.form(b.authorizeURL(), url.Values{"decision": {"deny"}}).location(t)
	if got.Get("error") != "access_denied" || got.Get("state") != "s&t" || got.Get("iss") != b.URL() || got.Has("code") {
		t.Errorf("answer = %v, want access_denied", got)
	}
}

func TestTheChosenUserIsTheOneOfTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	verifier := oauth2.GenerateVerifier()
	to := b.authorizeURL("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
	code := b.form(to, url.Values{"decision": {"approve"}, "user": {"ben"}}).location(t).Get("code")
	token, err := b.config().Exchange(b.context(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.get("/userinfo", token.AccessToken).json(t)["sub"]; got != "usr_ben" {
		t.Errorf("sub = %v, want usr_ben", got)
	}
}

func TestBadAuthorizationRequestsAreShownOrSentBack(t *testing.T) {
	t.Parallel()
	b := setup(t, &demo.Options{BaseURLs: []string{"https://app.example.com/hawser/"}})
	for _, c := range []struct {
		name  string
		pairs []string
		extra string
		code  string // of the redirect; "" = a page with status 400
	}{
		{name: "unknown client", pairs: []string{"client_id", "x"}},
		{name: "no client", pairs: []string{"client_id", ""}},
		{name: "no redirect", pairs: []string{"redirect_uri", ""}},
		{name: "stranger", pairs: []string{"redirect_uri", "https://evil.example.com/"}},
		{name: "user info", pairs: []string{"redirect_uri", "http://127.0.0.1@evil.example.com/"}},
		{name: "loopback user info", pairs: []string{"redirect_uri", "http://a@127.0.0.1/"}},
		{name: "sibling path", pairs: []string{"redirect_uri", "https://app.example.com/hawser-evil"}},
		{name: "dots", pairs: []string{"redirect_uri", "https://app.example.com/hawser/../evil"}},
		{name: "escaped dots", pairs: []string{"redirect_uri", "https://app.example.com/hawser/%2e%2e/evil"}},
		{name: "other scheme", pairs: []string{"redirect_uri", "http://app.example.com/hawser/cb"}},
		{name: "other port", pairs: []string{"redirect_uri", "https://app.example.com:444/hawser/cb"}},
		{name: "loopback look-alike", pairs: []string{"redirect_uri", "http://127.0.0.1.evil.example.com/"}},
		{name: "script", pairs: []string{"redirect_uri", "javascript:alert(1)"}},
		{name: "relative", pairs: []string{"redirect_uri", "/callback"}},
		{name: "fragment", pairs: []string{"redirect_uri", callback + "#x"}},
		{name: "backslash", pairs: []string{"redirect_uri", `http://127.0.0.1\@evil.example.com/`}},
		{name: "line break", pairs: []string{"redirect_uri", "http://127.0.0.1/\r\nX: y"}},
		{name: "two redirects", extra: "&redirect_uri=http://127.0.0.1/"},
		{name: "bad query", extra: "&%zz"},

		{name: "two states", extra: "&state=x", code: "invalid_request"},
		{name: "token response", pairs: []string{"response_type", "token"}, code: "unsupported_response_type"},
		{name: "unknown scope", pairs: []string{"scope", "read root"}, code: "invalid_scope"},
		{name: "no PKCE", pairs: []string{"code_challenge", "", "code_challenge_method", ""}, code: "invalid_request"},
		{name: "plain PKCE", pairs: []string{"code_challenge_method", "plain"}, code: "invalid_request"},
		{name: "no method", pairs: []string{"code_challenge_method", ""}, code: "invalid_request"},
		{name: "short challenge", pairs: []string{"code_challenge", "abc"}, code: "invalid_request"},
		{name: "configured base", pairs: []string{"redirect_uri", "https://app.example.com/hawser/cb", "scope", "x"}, code: "invalid_scope"},
	} {
		to := b.authorizeURL(c.pairs...) + c.extra
		for method, a := range map[string]answer{
			"GET": b.do("GET", to, ""), "POST": b.form(to, url.Values{"decision": {"approve"}}),
		} {
			if c.code == "" {
				if a.Status != 400 || a.Header.Get("Location") != "" {
					t.Errorf("%s %s: got %d %q, want a page with 400", method, c.name, a.Status, a.Header.Get("Location"))
				}
				continue
			}
			q := a.location(t)
			if q.Get("error") != c.code || q.Get("iss") != b.URL() || q.Has("code") {
				t.Errorf("%s %s: answer = %v, want %s", method, c.name, q, c.code)
			}
		}
	}
}

func TestTheFormNeedsADecisionOfAKnownUser(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, form := range []url.Values{
		{}, {"decision": {"maybe"}}, {"decision": {"approve"}, "user": {"eve"}}, {"decision": {"approve", "deny"}},
	} {
		if a := b.form(b.authorizeURL(), form); a.Status != 400 || a.Header.Get("Location") != "" {
			t.Errorf("%v: got %d %q, want a page with 400", form, a.Status, a.Header.Get("Location"))
		}
	}
	wantStatus(t, b.do("POST", b.authorizeURL(), `{"decision":"approve"}`, "Content-Type", "application/json"), 400)
}

func TestOtherSitesAndReboundNamesAreKeptOut(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const form = "application/x-www-form-urlencoded"
	wantStatus(t, b.do("POST", b.authorizeURL(), "decision=approve", "Content-Type", form, "Origin", "https://evil.example.com"), 403)
	wantStatus(t, b.do("POST", b.authorizeURL(), "decision=approve", "Content-Type", form, "Sec-Fetch-Site", "cross-site"), 403)
	wantStatus(t, b.do("POST", b.authorizeURL(), "decision=approve", "Content-Type", form, "Origin", b.URL()), 303)
	wantStatus(t, b.post("/_fault", "", `{"endpoint":"api","mode":"none"}`, "Origin", "https://evil.example.com"), 403)
	wantStatus(t, b.do("POST", "/_fault", `{"endpoint":"api","mode":"none"}`, "Content-Type", "text/plain"), 200)

	for host, want := range map[string]int{"localhost:1": 200, "[::1]": 200, "127.0.0.1": 200, "evil.example.com": 421} {
		if got := b.withHost(host); got != want {
			t.Errorf("Host %s: got %d, want %d", host, got, want)
		}
	}
}

func (b *bench) withHost(host string) int {
	b.t.Helper()
	req := b.request("GET", "/_stats", "")
	req.Host = host
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}
