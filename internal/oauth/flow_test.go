package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAFlowConnectsAndKeepsItsTokensSealed(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	b := testenv.NewBrowser(t)
	status, location, _ := b.Get(in.begin(b, onDemo, map[string]any{"return_url": in.url + "/done?x=1"}, approve))
	if want := in.url + "/done?connector=demo-oauth&status=success&x=1"; status != http.StatusSeeOther || location != want {
		t.Errorf("callback: got %d to %s, want 303 to %s", status, location, want)
	}
	var v connection.View
	in.call(http.MethodGet, onDemo, nil, &v)
	if v.State != records.Active || v.User == nil || v.User.ID != "usr_ava" || v.ExpiresAt == nil {
		t.Errorf("connection: got %+v, want active with its user and expiry", v)
	}
	if diff := cmp.Diff([]string{"profile", "read"}, v.GrantedScopes); diff != "" {
		t.Errorf("granted scopes (-want +got):\n%s", diff)
	}
	g := in.grant(in.demoConnection().Grant)
	if !strings.HasPrefix(g.AccessToken, "enc:v1:") || !strings.HasPrefix(g.RefreshToken, "enc:v1:") {
		t.Errorf("stored tokens: got %.12s and %.12s, want envelopes", g.AccessToken, g.RefreshToken)
	}
	if diff := cmp.Diff([]string{"oauth.started", "oauth.completed", "connector.connected"}, in.kinds()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := stats(t, p); got != (counters{Exchanges: 1}) {
		t.Errorf("provider counted %+v, want one exchange", got)
	}
}

func TestTheAuthorizationRequestCannotBeOverridden(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := install(t, nil, oauthConnector("sly", p.URL(), func(o *connectors.OAuth2) {
		o.ExtraParams = map[string]string{"prompt": "consent", "empty": ""}
	}))
	app := demoApp
	app.ExtraParams = map[string]string{"state": "mine", "Redirect_URI": "https://evil.example", "code_challenge_method": "plain", "access_type": "offline"}
	in.setApp("sly", app)
	started := in.start("/scopes/organization/acme/connections/sly", map[string]any{})
	resp, err := testenv.NewBrowser(t).Client.Get(started)
	must(t, err)
	_ = resp.Body.Close()
	to, err := resp.Location()
	must(t, err)
	q := to.Query()
	for name, want := range map[string]string{
		"client_id": "demo-client", "redirect_uri": in.url + "/connectors/sly/oauth/callback", "response_type": "code",
		"scope": "read profile", "code_challenge_method": "S256", "prompt": "consent", "access_type": "offline",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if len(q.Get("state")) < 43 || len(q.Get("code_challenge")) != 43 || q.Has("empty") || q.Has("Redirect_URI") {
		t.Errorf("got %s: want a long state, a challenge, and nothing empty or foreign", to.RawQuery)
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.MaxAge < 590 || cookie.MaxAge > 600 || cookie.Secure {
		t.Errorf("cookie: got %+v, want HttpOnly, Lax, for the host, ten minutes, not secure on http", cookie)
	}
}

func TestEveryRefusalHasItsReasonAndStoresNothing(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := startDemo(t)
	in := install(t, clock.options(), append(demoConnectors(p), oauthConnector("other", p.URL(), nil))...)
	in.setApp("demo-oauth", demoApp)
	in.setApp("other", demoApp)
	change := func(callback, name, value string) string { return parameter(t, callback, name, value) }
	stateOf := func(callback string) string { return parameterOf(t, callback, "state") }
	flip := func(state string, at int) string {
		c := byte('A')
		if state[at] == c {
			c = 'B'
		}
		return state[:at] + string(c) + state[at+1:]
	}
	cases := []struct {
		name, reason string
		alter        func(b *testenv.Browser, callback string) (*testenv.Browser, string)
	}{
		{"no state", "malformed", func(b *testenv.Browser, c string) (*testenv.Browser, string) { return b, change(c, "state", "") }},
		{"short state", "malformed", func(b *testenv.Browser, c string) (*testenv.Browser, string) { return b, change(c, "state", "abc") }},
		{"two states", "malformed", func(b *testenv.Browser, c string) (*testenv.Browser, string) { return b, c + "&state=x" }},
		{"nonce changed", "bad_signature", func(b *testenv.Browser, c string) (*testenv.Browser, string) {
			return b, change(c, "state", flip(stateOf(c), 3))
		}},
		{"expiry changed", "bad_signature", func(b *testenv.Browser, c string) (*testenv.Browser, string) {
			return b, change(c, "state", flip(stateOf(c), 50))
		}},
		{"another browser", "wrong_browser", func(_ *testenv.Browser, c string) (*testenv.Browser, string) { return testenv.NewBrowser(t), c }},
		{"another issuer", "mismatch", func(b *testenv.Browser, c string) (*testenv.Browser, string) {
			return b, change(c, "iss", "https://evil.example")
		}},
		{"no issuer", "mismatch", func(b *testenv.Browser, c string) (*testenv.Browser, string) { return b, change(c, "iss", "") }},
		{"another connector", "mismatch", func(b *testenv.Browser, c string) (*testenv.Browser, string) {
			return b, strings.Replace(c, "/demo-oauth/", "/other/", 1)
		}},
		{"too late", "expired", func(b *testenv.Browser, c string) (*testenv.Browser, string) {
			clock.advance(records.FlowLife)
			return b, c
		}},
	}
	for _, tc := range cases {
		b := testenv.NewBrowser(t)
		callback := in.begin(b, onDemo, map[string]any{"return_url": in.url + "/done"}, approve)
		who, altered := tc.alter(b, callback)
		status, location, body := who.Get(altered)
		if status != http.StatusBadRequest || !strings.Contains(body, `"reason":"`+tc.reason+`"`) || !strings.Contains(body, "CONNECTOR_OAUTH_STATE_INVALID") || location != "" {
			t.Errorf("%s: got %d %s, want 400 with reason %s", tc.name, status, body, tc.reason)
		}
		if strings.Contains(body, stateOf(callback)) {
			t.Errorf("%s: the answer holds the state", tc.name)
		}
		// A refusal uses up the state, for its own browser.
		if tc.reason == "malformed" || tc.reason == "bad_signature" || tc.reason == "wrong_browser" {
			continue
		}
		if _, _, body := b.Get(callback); !strings.Contains(body, `"reason":"replayed"`) {
			t.Errorf("%s, and then the true callback: got %s, want replayed", tc.name, body)
		}
	}
	if status, _ := in.call(http.MethodGet, onDemo, nil, nil); status != http.StatusNotFound {
		t.Errorf("after all refusals the connection's status is %d, want 404", status)
	}
	if got := stats(t, p); got != (counters{}) {
		t.Errorf("provider counted %+v, want nothing", got)
	}
	if kinds := in.kinds(); !slices.Contains(kinds, "oauth.failed") || slices.Contains(kinds, "connector.connected") {
		t.Errorf("events: got %v, want failures only", kinds)
	}
}

func TestAFlowIsBoundToTheFirstBrowser(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	started := in.start(onDemo, map[string]any{})
	first, second := testenv.NewBrowser(t), testenv.NewBrowser(t)
	for range 2 { // a reload changes nothing
		if status, _, body := first.Get(started); status != http.StatusSeeOther {
			t.Errorf("first browser: got %d %s, want 303", status, body)
		}
	}
	if status, _, body := second.Get(started); status != http.StatusBadRequest || !strings.Contains(body, "wrong_browser") {
		t.Errorf("second browser: got %d %s, want wrong_browser", status, body)
	}
}

func TestADenialIsReported(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	b := testenv.NewBrowser(t)
	callback := in.begin(b, onDemo, map[string]any{"return_url": in.url + "/done"}, url.Values{"decision": {"deny"}})
	_, location, _ := b.Get(callback)
	if want := in.url + "/done?connector=demo-oauth&error=CONNECTOR_OAUTH_DENIED&reason=access_denied&status=error"; location != want {
		t.Errorf("got %s, want %s", location, want)
	}
	if status, _, body := b.Get(callback); status != http.StatusBadRequest || !strings.Contains(body, `"reason":"replayed"`) {
		t.Errorf("again: got %d %s, want a state that is used up", status, body)
	}
	var failed events.Data
	all := in.events()
	must(t, all[len(all)-2].DataAs(&failed))
	if all[len(all)-2].Type() != events.OAuthFailed.Type() || failed.ErrorCode != "CONNECTOR_OAUTH_DENIED" || failed.Operation != "access_denied" {
		t.Errorf("event: got %s %+v, want oauth.failed with the provider's error", all[len(all)-2].Type(), failed)
	}
}

func TestForeignReturnURLsAreRefused(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, optionsWithReturn("https://app.example/connected"))
	for _, bad := range []string{
		"https://evil.example/", "//evil.example", "/relative", "https://app.example/connectedness", "https://app.example/connected/../x",
		"https://app.example@evil.example/connected", "javascript:alert(1)", "https://app.example/connected\r\nX: y", `https://app.example\@evil.example`,
	} {
		if status, problem := in.call(http.MethodPut, onDemo, map[string]any{"return_url": bad}, nil); status != http.StatusBadRequest || problem.Code != connectors.CodeConnectorConfigInvalid {
			t.Errorf("%q: got %d %s, want 400 CONNECTOR_CONFIG_INVALID", bad, status, problem.Code)
		}
	}
	if status, problem := in.call(http.MethodPut, onDemo, map[string]any{"return_url": "https://app.example/connected/1"}, nil); status != http.StatusOK {
		t.Errorf("an allowed one: got %d %v, want 200", status, &problem)
	}
}

func TestAnAppIsRequiredAndCanBeSetLater(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := install(t, nil, demoConnectors(p)...)
	if status, problem := in.call(http.MethodPut, onDemo, map[string]any{}, nil); status != http.StatusBadRequest || problem.Code != connectors.CodeConnectorOAuthNotConfigured {
		t.Errorf("without an app: got %d %s, want 400 CONNECTOR_OAUTH_NOT_CONFIGURED", status, problem.Code)
	}
	var shown records.AppView
	in.call(http.MethodPut, "/apps/demo-oauth", map[string]any{"client_id": "demo-client", "client_secret": "demo-secret"}, &shown)
	if shown.ClientSecrets != 1 || shown.Source != "stored" {
		t.Errorf("app: got %+v, want one stored secret", shown)
	}
	in.connectDemo()
}
