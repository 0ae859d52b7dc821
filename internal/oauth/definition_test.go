package oauth_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// transcript is a provider that writes down its requests, each as a line, and answers by
// path.
type transcript struct {
	answers map[string]string // default: a token
	headers []string          // that are written down
	mu      sync.Mutex
	lines   []string
}

func (p *transcript) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI() + " " + string(body)
	for _, name := range p.headers {
		if value := r.Header.Get(name); value != "" {
			line += " " + name + "=" + value
		}
	}
	p.mu.Lock()
	p.lines = append(p.lines, line)
	p.mu.Unlock()
	answer, ok := p.answers[r.URL.Path]
	if !ok {
		answer = `{"access_token":"AT","refresh_token":"RT","expires_in":3600}`
	}
	_, _ = io.WriteString(w, answer)
}

func (p *transcript) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// connectorAt returns a connector at a transcript, whose config has a site.
func connectorAt(server string, change func(*connectors.Connector, *connectors.OAuth2)) connectors.Connector {
	c := oauthConnector("p", server, func(o *connectors.OAuth2) { o.UserInfoURL, o.RevocationURL = "", "" })
	change(&c, c.Auth.OAuth2)
	return c
}

var keyedApp = records.App{ClientID: "demo-client", ClientSecrets: demoApp.ClientSecrets, Extra: map[string]secret.Text{"developer": secret.New("DEV")}}

// What a definition says of the authorisation, the tokens, the user and the revocation is
// what the provider gets.
func TestProvidersGetTheRequestsThatTheirDefinitionsDescribe(t *testing.T) {
	t.Parallel()
	off := false
	for _, tc := range []struct {
		name      string
		with      func(*connectors.Connector, *connectors.OAuth2)
		authorize string   // beginning of the authorization request
		asks      []string // parts of it
		lacks     []string
		want      []string
	}{{
		name: "without PKCE, with scopes and parameters of the config",
		with: func(c *connectors.Connector, o *connectors.OAuth2) {
			o.PKCE, o.AuthorizationURL, o.TokenURL = &off, o.AuthorizationURL+"/?fixed=1", o.TokenURL+"/"
			o.Scopes, o.ScopeIn = []string{"https://${config.site}/user"}, []string{"code", "refresh"}
			o.ExtraParams = map[string]string{"resource": "${config.site}", "key": "${app.extra.developer}"}
			o.RefreshParams, o.TokenHeaders = map[string]string{"again": "${config.site}"}, map[string]string{"Version": "7", "Developer": "${app.extra.developer}"}
		},
		authorize: "/authorize/?fixed=1&",
		asks:      []string{"resource=eu", "key=DEV", "scope=https%3A%2F%2Feu%2Fuser"}, lacks: []string{"code_challenge"},
		want: []string{
			"POST /token/ client_id=demo-client&client_secret=demo-secret&code=CODE&grant_type=authorization_code&redirect_uri=URI&scope=https%3A%2F%2Feu%2Fuser Version=7 Developer=DEV",
			"POST /token/ again=eu&client_id=demo-client&client_secret=demo-secret&grant_type=refresh_token&refresh_token=RT&scope=https%3A%2F%2Feu%2Fuser Version=7 Developer=DEV",
		},
	}, {
		name: "user info by GraphQL, revocation by another request, refresh URL with a query",
		with: func(c *connectors.Connector, o *connectors.OAuth2) {
			o.PKCE, o.AuthorizationURL, o.RefreshURL = &off, o.AuthorizationURL+"#/oauth", o.TokenURL+"?refresh"
			o.ResponseType, o.GrantType, o.ClientAuth = "auth_code", "auth_code", connectors.ClientAuthBasicPlain
			o.UserInfoURL, o.UserInfo = c.BaseURL+"/graphql", &connectors.EndpointRequest{Method: "POST", Body: map[string]any{"query": "{me{id}}"}}
			o.UserFields = map[string]string{"id": "data.me.id"}
			o.RevocationURL, o.Revocation = c.BaseURL+"/apps/${app.client_id}/grant", &connectors.EndpointRequest{Method: "DELETE", Auth: "client", Body: map[string]any{"access_token": "${token.access_token}"}}
		},
		authorize: "/authorize#/oauth?", asks: []string{"response_type=auth_code"},
		want: []string{
			"POST /token code=CODE&grant_type=auth_code&redirect_uri=URI Authorization=Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=",
			`POST /graphql {"query":"{me{id}}"} Authorization=Bearer AT`,
			"POST /token?refresh grant_type=refresh_token&refresh_token=RT Authorization=Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=",
			`DELETE /apps/demo-client/grant {"access_token":"AT"} Authorization=Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=`,
		},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			provider := &transcript{headers: []string{"Version", "Developer", "Authorization"}, answers: map[string]string{"/graphql": `{"data":{"me":{"id":"u7"}}}`}}
			server := newServer(t, provider)
			in := install(t, nil, connectorAt(server, tc.with))
			in.setApp("p", keyedApp)
			const path = "/scopes/organization/acme/connections/p"
			b := testenv.NewBrowser(t)
			_, to, text := b.Get(in.start(path, map[string]any{"config": map[string]any{"site": "eu"}}))
			if !strings.HasPrefix(to, server+tc.authorize) {
				t.Fatalf("authorization request: got %s %s, want %s…", to, text, server+tc.authorize)
			}
			for _, part := range tc.asks {
				if !strings.Contains(to, part) {
					t.Errorf("authorization request: got %s, want %s in it", to, part)
				}
			}
			for _, part := range tc.lacks {
				if strings.Contains(to, part) {
					t.Errorf("authorization request: got %s, want no %s in it", to, part)
				}
			}
			u, err := url.Parse(strings.Replace(to, "#", "", 1))
			must(t, err)
			if status, _, body := b.Get(u.Query().Get("redirect_uri") + "?code=CODE&state=" + u.Query().Get("state")); status != http.StatusOK {
				t.Fatalf("callback: got %d %s", status, body)
			}
			if status, problem := in.call(http.MethodPost, path+"/refresh", nil, nil); status != http.StatusOK {
				t.Fatalf("refresh: got %d %v", status, &problem)
			}
			in.call(http.MethodDelete, path, nil, nil)
			var got []string
			for _, line := range provider.said() {
				got = append(got, strings.Replace(line, url.QueryEscape(in.url+"/connectors/p/oauth/callback"), "URI", 1))
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the provider was asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutAChallengeAnAppNeedsASecret(t *testing.T) {
	t.Parallel()
	off := false
	in := install(t, nil, connectorAt("https://p.example", func(_ *connectors.Connector, o *connectors.OAuth2) { o.PKCE = &off }))
	in.setApp("p", records.App{ClientID: "public"})
	status, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/p", map[string]any{}, nil)
	if status != http.StatusBadRequest || problem.Code != connectors.CodeConnectorOAuthNotConfigured {
		t.Errorf("without a secret: got %d %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", status, &problem)
	}
	in.setApp("p", demoApp)
	in.start("/scopes/organization/acme/connections/p", map[string]any{})
}

// The app's keys are on calls of the API, by actions, by the proxy and in what resolve
// answers; a token may be in the query.
func TestCallsCarryTheAppsKeys(t *testing.T) {
	t.Parallel()
	provider := &transcript{headers: []string{"Client-Id", "Developer", "Authorization"}}
	in := install(t, nil, connectorAt(newServer(t, provider), func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Auth.Headers = map[string]string{"Client-Id": "${app.client_id}", "Developer": "${app.extra.developer}"}
		o.TokenQuery = "access_token"
	}))
	in.setApp("p", keyedApp)
	const path = "/scopes/organization/acme/connections/p"
	b := testenv.NewBrowser(t)
	if status, answer, _ := in.authorize(b, in.start(path, map[string]any{}), ""); status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, answer)
	}
	in.call(http.MethodGet, path+"/proxy/items?page=1", nil, nil)
	lines := provider.said()
	if got, want := lines[len(lines)-1], "GET /items?page=1&access_token=AT  Client-Id=demo-client Developer=DEV"; got != want {
		t.Errorf("proxy: got %q, want %q", got, want)
	}
	var runtime struct{ Headers, Query map[string]string }
	if status, problem := in.call(http.MethodPost, path+"/resolve", nil, &runtime); status != http.StatusOK {
		t.Fatalf("resolve: got %d %v", status, &problem)
	}
	if diff := gocmp.Diff(map[string]string{"Client-Id": "demo-client", "Developer": "DEV"}, runtime.Headers); diff != "" || runtime.Query["access_token"] != "AT" {
		t.Errorf("resolve: got %v %v", runtime.Headers, runtime.Query)
	}
}

// Tokens of the client itself, by another grant type.
func TestClientCredentialsByAnotherGrantType(t *testing.T) {
	t.Parallel()
	provider := &transcript{}
	c := connectorAt(newServer(t, provider), func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Auth.Kind, o.AuthorizationURL, o.Scopes = connectors.AuthClientCredentials, "", []string{"${config.account}:all"}
		o.GrantType, o.TokenParams = "account_credentials", map[string]string{"account_id": "${config.account}"}
		o.ClientID, o.ClientSecret = "${config.id}", "${config.secret}"
		c.Config = schema.For[struct {
			Account string      `json:"account"`
			ID      string      `json:"id"`
			Secret  secret.Text `json:"secret"`
		}]()
	})
	in := install(t, nil, c)
	status, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/p", map[string]any{"config": map[string]any{"account": "a1", "id": "i", "secret": "sssssssss"}}, nil)
	if status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("connect: got %d %v", status, &problem)
	}
	want := []string{"POST /token account_id=a1&client_id=i&client_secret=sssssssss&grant_type=account_credentials&scope=a1%3Aall"}
	if diff := gocmp.Diff(want, provider.said()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A provider that has the browser post its response gets the cookie with it; every other
// provider's response is a redirect.
func TestAResponseCanBePosted(t *testing.T) {
	t.Parallel()
	provider := &transcript{}
	server := newServer(t, provider)
	posted := connectorAt(server, func(c *connectors.Connector, o *connectors.OAuth2) { c.Key, o.ResponseMode = "posted", "form_post" })
	plain := connectorAt(server, func(c *connectors.Connector, _ *connectors.OAuth2) { c.Key = "plain" })
	in := installWith(t, testenv.NodeOptions{TLS: true}, nil, posted, plain)
	for _, key := range []string{"posted", "plain"} {
		in.setApp(key, demoApp)
		b := testenv.NewBrowser(t)
		b.Transport = in.client.Transport
		start, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.start("/scopes/organization/acme/connections/"+key, map[string]any{}), nil)
		must(t, err)
		resp, err := b.Do(start)
		must(t, err)
		_ = resp.Body.Close()
		to, err := resp.Location()
		must(t, err)
		callback, state := to.Query().Get("redirect_uri"), to.Query().Get("state")
		status, _, body := b.Post(callback, url.Values{"code": {"CODE"}, "state": {state}})
		if key == "plain" {
			if status/100 == 2 || resp.Cookies()[0].SameSite != http.SameSiteLaxMode {
				t.Errorf("plain: got %d %s and a cookie of site %v, want a refusal and Lax", status, body, resp.Cookies()[0].SameSite)
			}
			if status, _, body := b.Get(callback + "?code=CODE&state=" + state); status != http.StatusOK {
				t.Errorf("plain, redirected: got %d %s: the refused form has used up the state", status, body)
			}
			continue
		}
		if got := to.Query().Get("response_mode"); got != "form_post" || resp.Cookies()[0].SameSite != http.SameSiteNoneMode || !resp.Cookies()[0].Secure {
			t.Errorf("got mode %q and cookie %v, want form_post and SameSite=None; Secure", got, resp.Cookies()[0])
		}
		if status != http.StatusOK {
			t.Errorf("posted: got %d %s, want 200", status, body)
		}
	}
}

// The nonce of the request has to be in the ID token.
func TestAnIDTokenHasTheFlowsNonce(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{true, false} {
		var nonce string
		server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			claims := base64.RawURLEncoding.EncodeToString([]byte(`{"nonce":"` + nonce + `"}`))
			_, _ = io.WriteString(w, `{"access_token":"AT","expires_in":60,"id_token":"eyJhbGciOiJSUzI1NiJ9.`+claims+`.c2ln"}`)
		}))
		in := installWithApp(t, nil, connectorAt(server, func(_ *connectors.Connector, o *connectors.OAuth2) { o.Nonce = true }))
		b := testenv.NewBrowser(t)
		_, to, _ := b.Get(in.start("/scopes/organization/acme/connections/p", map[string]any{}))
		u, err := url.Parse(to)
		must(t, err)
		if nonce = u.Query().Get("nonce"); len(nonce) < 32 {
			t.Fatalf("got %s, want a nonce", to)
		}
		if !right {
			nonce = "another"
		}
		status, _, body := b.Get(u.Query().Get("redirect_uri") + "?code=CODE&state=" + u.Query().Get("state"))
		if (status == http.StatusOK) != right || !right && !strings.Contains(body, `"reason":"mismatch"`) {
			t.Errorf("right nonce %v: got %d %s", right, status, body)
		}
	}
}

// An app that cannot work replaces none that does.
func TestAnAppWithoutSecretOrUseIsRefused(t *testing.T) {
	t.Parallel()
	in := install(t, nil, connectorAt("https://p.example", func(c *connectors.Connector, _ *connectors.OAuth2) {}), testenv.Probe("plain", ""))
	var shown struct {
		CallbackURLs []string `json:"callback_urls"`
	}
	if status, problem := in.call(http.MethodPut, "/apps/p", map[string]any{"client_id": "i", "client_secret": "s3cret"}, &shown); status != http.StatusOK {
		t.Fatalf("got %d %v", status, &problem)
	}
	if diff := gocmp.Diff([]string{in.url + "/connectors/p/oauth/callback"}, shown.CallbackURLs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for path, body := range map[string]map[string]any{
		"/apps/p":       {"client_id": "i", "client_secret": ""},
		"/apps/p?":      {"client_id": "i", "client_secrets": []string{""}},
		"/apps/p??":     {"client_id": "i", "client_secret": " \n"},
		"/apps/plain":   {"client_id": "i", "client_secret": "s"},
		"/apps/nonsuch": {"client_id": "i", "client_secret": "s"},
	} {
		if status, problem := in.call(http.MethodPut, strings.TrimRight(path, "?"), body, nil); status < 400 || status > 499 {
			t.Errorf("%s %v: got %d %v, want a refusal", path, body, status, &problem)
		}
	}
	if app, _, err := in.front.Apps.Named(t.Context(), "p"); err != nil || app.ClientSecrets[0].Reveal() != "s3cret" {
		t.Errorf("the working app was replaced: %v", err)
	}
}

// Further keys of an app are set by the API, and shown by their names only.
func TestAnAppsKeysAreSetAndNeverShown(t *testing.T) {
	t.Parallel()
	in := install(t, nil, connectorAt("https://p.example", func(c *connectors.Connector, _ *connectors.OAuth2) {}))
	var shown records.AppView
	status, problem := in.call(http.MethodPut, "/apps/p", map[string]any{"client_id": "i", "extra": map[string]string{"developer": "DEV-TOKEN"}}, &shown)
	if status != http.StatusOK || len(shown.Extra) != 1 || shown.Extra[0] != "developer" {
		t.Fatalf("got %d %v %+v, want the key's name", status, &problem, shown)
	}
	app, _, err := in.front.Apps.Named(t.Context(), "p")
	if err != nil || app.Extra["developer"].Reveal() != "DEV-TOKEN" {
		t.Errorf("stored: got %v", err)
	}
	if status, _ := in.call(http.MethodPut, "/apps/p", map[string]any{"client_id": "i", "extra": map[string]string{"a.b": "x"}}, nil); status != http.StatusBadRequest {
		t.Errorf("a name that no template can have: got %d, want 400", status)
	}
}
