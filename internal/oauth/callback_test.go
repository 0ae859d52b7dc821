package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

const onDemoOfGlobex = "/scopes/organization/globex/connections/demo-oauth"

// parameter replaces one parameter of a URL, or removes it if value is "".
func parameter(t testing.TB, text, name, value string) string {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	q := u.Query()
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func parameterOf(t testing.TB, text, name string) string {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	return u.Query().Get(name)
}

// cookies returns the browser's cookies for the ingress.
func (in *installation) cookies(b *testenv.Browser) []*http.Cookie {
	in.t.Helper()
	u, err := url.Parse(in.url)
	must(in.t, err)
	return b.Jar.Cookies(u)
}

// expectRefused expects a callback to be refused for a reason, and nothing exchanged.
func (in *installation) expectRefused(b *testenv.Browser, p *demo.Provider, callback, reason string) {
	in.t.Helper()
	status, location, body := b.Get(callback)
	if status != http.StatusBadRequest || location != "" || !strings.Contains(body, `"reason":"`+reason+`"`) {
		in.t.Errorf("got %d %s to %q, want 400 with reason %s", status, body, location, reason)
	}
	if got := stats(in.t, p); got.Exchanges != 0 {
		in.t.Errorf("provider counted %+v, want no exchange", got)
	}
}

// expectUnconnected expects tenants to have no connection and no grant.
func (in *installation) expectUnconnected(connector string, tenants ...string) {
	in.t.Helper()
	for _, tenant := range tenants {
		if status, problem := in.call(http.MethodGet, "/scopes/organization/"+tenant+"/connections/"+connector, nil, nil); status != http.StatusNotFound {
			in.t.Errorf("%s at %s: got %d %v, want 404", tenant, connector, status, &problem)
		}
	}
	for g, err := range in.front.Grants.List(in.t.Context(), ">") {
		must(in.t, err)
		in.t.Errorf("a grant of %s was stored", g.Tenant())
	}
}

// A flow of one tenant cannot be finished by the browser of another: neither does the
// attacker get the victim's account, nor the victim the attacker's.
func TestACallbackOfAForeignTenantIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("its state, in a browser with a flow of its own", func(t *testing.T) {
		t.Parallel()
		in, p := withDemo(t, nil)
		attacker, victim := testenv.NewBrowser(t), testenv.NewBrowser(t)
		theirs := in.begin(attacker, onDemoOfGlobex, map[string]any{}, approve)
		ours := in.begin(victim, onDemo, map[string]any{}, approve)
		in.expectRefused(victim, p, theirs, "wrong_browser")
		in.expectUnconnected("demo-oauth", "acme", "globex")
		if got := in.kinds(); slices.Contains(got, "oauth.failed") {
			t.Errorf("events: %v, want none about a foreign browser", got)
		}
		if status, _, body := attacker.Get(theirs); status != http.StatusOK { // its own browser can still use it
			t.Errorf("the owner's flow: got %d %s, want 200", status, body)
		}
		if status, _, body := victim.Get(ours); status != http.StatusOK {
			t.Errorf("the victim's own flow: got %d %s, want 200", status, body)
		}
	})
	t.Run("its state, with the cookie's value under the other's name", func(t *testing.T) {
		t.Parallel()
		in, p := withDemo(t, nil)
		attacker, victim := testenv.NewBrowser(t), testenv.NewBrowser(t)
		theirs := in.begin(attacker, onDemoOfGlobex, map[string]any{}, approve)
		in.begin(victim, onDemo, map[string]any{}, approve)
		forged := testenv.NewBrowser(t)
		u, err := url.Parse(in.url)
		must(t, err)
		forged.Jar.SetCookies(u, []*http.Cookie{{Name: in.cookies(attacker)[0].Name, Value: in.cookies(victim)[0].Value, Path: "/"}})
		in.expectRefused(forged, p, theirs, "wrong_browser")
		in.expectUnconnected("demo-oauth", "acme", "globex")
	})
	t.Run("its code, with a state of one's own", func(t *testing.T) {
		t.Parallel()
		in, p := withDemo(t, nil)
		attacker, victim := testenv.NewBrowser(t), testenv.NewBrowser(t)
		theirs := in.begin(victim, onDemo, map[string]any{}, approve)
		ours := in.begin(attacker, onDemoOfGlobex, map[string]any{}, approve)
		// PKCE: the code is valid only with the verifier of the flow that requested it.
		injected := parameter(t, ours, "code", parameterOf(t, theirs, "code"))
		if status, _, body := attacker.Get(injected); status != http.StatusBadGateway || !strings.Contains(body, string(connectors.CodeConnectorOAuthTokenFailed)) {
			t.Errorf("got %d %s, want 502 CONNECTOR_OAUTH_TOKEN_FAILED", status, body)
		}
		if got := stats(t, p); got.Exchanges != 0 {
			t.Errorf("provider counted %+v, want no exchange", got)
		}
		in.expectUnconnected("demo-oauth", "acme", "globex")
	})
}

// A flow of one connector cannot be finished at the callback of another: a malicious
// provider cannot obtain codes for others (mix-up attack, RFC 9700 section 4.4).
func TestACallbackOfAForeignConnectorIsRefused(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := install(t, nil, append(demoConnectors(p), oauthConnector("other", p.URL(), nil))...)
	in.setApp("demo-oauth", demoApp)
	in.setApp("other", demoApp)
	b := testenv.NewBrowser(t) // the same one has a flow at each
	here := in.begin(b, onDemo, map[string]any{}, approve)
	there := in.begin(b, "/scopes/organization/acme/connections/other", map[string]any{}, approve)
	in.expectRefused(b, p, strings.Replace(here, "/demo-oauth/", "/other/", 1), "mismatch")
	in.expectRefused(b, p, here, "replayed")
	in.expectUnconnected("demo-oauth", "acme")
	in.expectUnconnected("other", "acme")
	if status, _, body := b.Get(there); status != http.StatusOK {
		t.Errorf("the other connector's own callback: got %d %s, want 200", status, body)
	}
	kinds := in.kinds()
	if !slices.Contains(kinds, "oauth.failed") {
		t.Errorf("events: got %v, want oauth.failed", kinds)
	}
}

// Over https the cookies have the prefix that keeps other hosts and plain connections
// from setting them.
func TestCookiesOverHTTPSBelongToTheHostAlone(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := installWith(t, testenv.NodeOptions{TLS: true}, nil, demoConnectors(p)...)
	in.setApp("demo-oauth", demoApp)
	b := testenv.NewBrowser(t)
	b.Transport = in.client.Transport
	check := func(what string, resp *http.Response, age func(int) bool) {
		t.Helper()
		_ = resp.Body.Close()
		if len(resp.Cookies()) != 1 {
			t.Fatalf("%s: got cookies %v, want one", what, resp.Cookies())
		}
		c := resp.Cookies()[0]
		if !strings.HasPrefix(c.Name, "__Host-hawser-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || !age(c.MaxAge) {
			t.Errorf("%s: got cookie %s, want __Host-, Secure, HttpOnly, Lax, for the whole host and no domain", what, c)
		}
	}
	get := func(to string) *http.Response {
		t.Helper()
		resp, err := b.Client.Get(to)
		must(t, err)
		return resp
	}
	started := in.start(onDemo, map[string]any{})
	if !strings.HasPrefix(started, "https://") {
		t.Errorf("the link is %s, want one over https", started)
	}
	opened := get(started)
	check("start", opened, func(age int) bool { return age > 590 && age <= 600 })
	_, callback, _ := b.Post(opened.Header.Get("Location"), approve)
	done := get(callback)
	if done.StatusCode != http.StatusOK {
		t.Errorf("callback: got %d, want 200", done.StatusCode)
	}
	if len(done.Cookies()) != 0 { // it is needed for a reload, and expires by itself
		t.Errorf("callback: got cookies %v, want none", done.Cookies())
	}
	_ = done.Body.Close()
	if c := in.demoConnection(); c.State != records.Active {
		t.Errorf("the connection is %s, want active", c.State)
	}
	submitted, err := b.PostForm(in.session(map[string]any{}).URL, url.Values{"choice": {"demo-oauth"}})
	must(t, err)
	check("connect session", submitted, func(age int) bool { return age > 0 })
}

// Some providers state only in the callback's query what every later call needs.
func TestCallbackParametersAreInTheConfigOfEveryCall(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	books := oauthConnector("books", p.URL(), func(o *connectors.OAuth2) {
		o.Metadata = map[string]string{"realm": "query.realmId", "member": "user.id"}
	})
	type config struct {
		Realm  string `json:"realm,omitempty"`
		Member string `json:"member,omitempty"`
		Ledger string `json:"ledger" jsonschema:"default=main"`
	}
	books.Config = schema.For[config]()
	books.Actions = []connectors.Action{connectors.NewAction("where", func(_ context.Context, call *connectors.Call, _ struct{}) (config, error) {
		return connectors.ConfigAs[config](call)
	}, &connectors.ActionOptions{Idempotent: true})}
	books.DefaultConfig = json.RawMessage(`{"ledger":"third"}`)
	in := installWithApp(t, nil, books)
	in.runExecutor(t)
	for account, tc := range map[string]struct {
		body   map[string]any
		ledger string
	}{
		"own":     {map[string]any{"config": map[string]string{"ledger": "second"}}, "second"},
		"default": {map[string]any{}, "third"},
	} {
		path := "/scopes/organization/acme/connections/books?account=" + account
		b := testenv.NewBrowser(t)
		callback := in.begin(b, path, tc.body, approve)
		if status, _, body := b.Get(parameter(t, callback, "realmId", "9130 0<1>")); status != http.StatusOK {
			t.Fatalf("callback: got %d %s", status, body)
		}
		a := events.Action{ActionRef: events.ActionRef{Tenant: acme, Connector: "books", Action: "where"}, ID: "where-" + account, Input: []byte(`{}`), Account: account}
		e, err := in.front.Bus.RequestAction(t.Context(), a)
		must(t, err)
		if got, want := string(e.Data()), `{"data":{"realm":"9130 0\u003c1\u003e","member":"usr_ava","ledger":"`+tc.ledger+`"}}`; got != want {
			t.Errorf("the call's config: got %s, want %s", got, want)
		}
		var v connection.View
		in.call(http.MethodGet, path, nil, &v)
		if !strings.Contains(string(v.Config), `"realm":"9130 0`) {
			t.Errorf("the connection shows %s, want the realm", v.Config)
		}
	}
}
