package connectors_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// siteConfig is a config with a name in URLs, a secret, and a host.
type siteConfig struct {
	Site string            `json:"site,omitempty"`
	Key  connectors.Secret `json:"key,omitempty"`
	Host string            `json:"host,omitempty"`
}

func oauthWith(change func(*connectors.Connector, *connectors.OAuth2)) connectors.Connector {
	o := &connectors.OAuth2{AuthorizationURL: "https://a.example/authorize", TokenURL: "https://a.example/token"}
	c := connectors.Connector{
		Key: "a", Config: schema.For[siteConfig](), BaseURL: "https://api.a.example",
		Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: o},
	}
	change(&c, o)
	return c
}

func sent(t *testing.T, r *http.Request, err error) map[string]string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"": r.Method + " " + r.URL.String(), "body": string(body)}
	for name := range r.Header {
		if name != "Accept" {
			got[name] = r.Header.Get(name)
		}
	}
	return got
}

// The requests of providers whose revocation and user info are those of no standard.
func TestRequestsOfEndpointsFollowTheDefinition(t *testing.T) {
	t.Parallel()
	values := connectors.RequestValues{
		Config: []byte(`{"site":"eu 1"}`), Access: secret.New("AT/1"), Refresh: secret.New("RT"), Reply: map[string]any{"user": map[string]any{"id": "u1"}},
		Client: connectors.Client{ID: "id", Secret: secret.New("s:1"), Extra: map[string]secret.Text{"key": secret.New("K")}},
	}
	for name, tt := range map[string]struct {
		with func(*connectors.OAuth2)
		want map[string]string
	}{
		"user info by GET": {func(o *connectors.OAuth2) { o.UserInfoURL = "https://a.example/me/" }, map[string]string{
			"": "GET https://a.example/me/", "body": "", "Authorization": "Bearer AT/1",
		}},
		"by GraphQL": {func(o *connectors.OAuth2) {
			o.UserInfoURL = "https://a.example/graphql"
			o.UserInfo = &connectors.EndpointRequest{Method: "POST", Body: map[string]any{"query": "{ viewer { id } }", "variables": map[string]any{"n": 1.0, "site": "${config.site}", "none": "${config.host}"}}, Headers: map[string]string{"Version": "2", "Client-Id": "${app.client_id}"}}
		}, map[string]string{
			"": "POST https://a.example/graphql", "body": `{"query":"{ viewer { id } }","variables":{"n":1,"site":"eu 1"}}`, "Authorization": "Bearer AT/1",
			"Version": "2", "Client-Id": "id", "Content-Type": "application/json",
		}},
		"with the token in the path": {func(o *connectors.OAuth2) {
			o.UserInfoURL = "https://a.example/tokens/${token.access_token}?user=${token.user.id}&site=${config.site}"
			o.UserInfo = &connectors.EndpointRequest{Auth: connectors.RequestAuthNone}
		}, map[string]string{"": "GET https://a.example/tokens/AT%2F1?user=u1&site=eu+1", "body": ""}},
		"with the token in the query": {func(o *connectors.OAuth2) {
			o.UserInfoURL, o.TokenQuery = "https://a.example/me?key=${app.extra.key}", "access_token"
		}, map[string]string{"": "GET https://a.example/me?key=K&access_token=AT%2F1", "body": ""}},
		"revocation by the client": {func(o *connectors.OAuth2) {
			o.RevocationURL = "https://a.example/applications/${app.client_id}/grant"
			o.Revocation = &connectors.EndpointRequest{Method: "DELETE", Auth: connectors.RequestAuthClient, Body: map[string]any{"access_token": "${token.access_token}"}}
		}, map[string]string{
			"": "DELETE https://a.example/applications/id/grant", "body": `{"access_token":"AT/1"}`, "Authorization": "Basic aWQ6czox", "Content-Type": "application/json",
		}},
		"by the token": {func(o *connectors.OAuth2) {
			o.RevocationURL, o.Revocation = "https://a.example/revoke", &connectors.EndpointRequest{}
		}, map[string]string{"": "POST https://a.example/revoke", "body": "", "Authorization": "Bearer AT/1"}},
		"by a form, with the secret in a header": {func(o *connectors.OAuth2) {
			o.RevocationURL = "https://a.example/revoke"
			o.Revocation = &connectors.EndpointRequest{Auth: connectors.RequestAuthNone, Headers: map[string]string{"Authorization": "Client ${app.client_secret}"},
				BodyForm: map[string]string{"client_id": "${app.client_id}", "user": "${config.host}", "token": "${token.refresh_token}"}}
		}, map[string]string{
			"": "POST https://a.example/revoke", "body": "client_id=id&token=RT", "Authorization": "Client s:1", "Content-Type": "application/x-www-form-urlencoded",
		}},
	} {
		c := registered(t, oauthWith(func(_ *connectors.Connector, o *connectors.OAuth2) { tt.with(o) }))
		build := c.UserInfoRequest
		if c.Auth.OAuth2.RevocationURL != "" {
			build = c.RevocationRequest
		}
		r, err := build(t.Context(), values)
		if diff := cmp.Diff(tt.want, sent(t, r, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// URLs of endpoints are requested as they are written.
func TestEndpointsAreKeptToTheLetter(t *testing.T) {
	t.Parallel()
	c := registered(t, oauthWith(func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.AuthorizationURL, o.TokenURL, o.RefreshURL = "https://${config.site}.a.example/#/oauth/authorize?app=${app.client_id}", "https://a.example/token/", "https://a.example/token?refresh"
	}))
	config := []byte(`{"site":"eu"}`)
	urls, err := c.OAuthEndpoints(config)
	if err != nil {
		t.Fatal(err)
	}
	authorize, err := c.AuthorizationRequest(config, connectors.Client{ID: "a b"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{authorize.URL, urls.Token, urls.Refresh}
	if diff := cmp.Diff([]string{"https://eu.a.example/#/oauth/authorize?app=a+b", "https://a.example/token/", "https://a.example/token?refresh"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScopesAreTemplates(t *testing.T) {
	t.Parallel()
	c := registered(t, oauthWith(func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.Scopes, o.ScopeSeparator = []string{"https://${config.site}/user", "read", "x-${config.host}"}, "+"
	}))
	got, err := c.ExpandScopes([]byte(`{"site":"eu.example"}`), c.Auth.OAuth2.Scopes)
	if diff := cmp.Diff([]string{"https://eu.example/user", "read"}, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	for _, site := range []string{"a admin", "a,admin", "a+admin"} {
		if _, err := c.ExpandScopes([]byte(`{"site":"`+site+`"}`), c.Auth.OAuth2.Scopes); err == nil {
			t.Errorf("%q made several scopes", site)
		}
	}
}

func TestHeadersOfTheAppAreAddedToRequests(t *testing.T) {
	t.Parallel()
	c := registered(t, oauthWith(func(c *connectors.Connector, _ *connectors.OAuth2) {
		c.Auth.Headers = map[string]string{"Client-Id": "${app.client_id}", "Site": "${config.site}", "Key": "${config.site}-${app.extra.key}", "None": "${app.extra.none}"}
	}))
	runtime, err := c.Resolve([]byte(`{"site":"eu"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(runtime.Headers) != 1 || !runtime.NeedsApp() {
		t.Errorf("without the app: got %v, want its own header only", runtime)
	}
	runtime, err = runtime.WithApp(connectors.Client{ID: "id", Extra: map[string]secret.Text{"key": secret.New("K")}})
	if err != nil || runtime.NeedsApp() {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, value := range runtime.Headers {
		got[name] = value.Reveal()
	}
	if diff := cmp.Diff(map[string]string{"Client-Id": "id", "Site": "eu", "Key": "eu-K"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Everything that a definition can say of requests comes back from its JSON.
func TestADefinitionKeepsItsRequests(t *testing.T) {
	t.Parallel()
	off := false
	c := registered(t, oauthWith(func(c *connectors.Connector, o *connectors.OAuth2) {
		o.PKCE, o.Nonce, o.ResponseType, o.ResponseMode, o.GrantType, o.ScopeIn = &off, true, "auth_code", "form_post", "code", []string{"code", "refresh"}
		o.RefreshParams, o.TokenHeaders, o.TokenQuery = map[string]string{"a": "${config.site}"}, map[string]string{"Version": "1"}, "token"
		o.UserInfoURL, o.UserInfo = "https://a.example/me", &connectors.EndpointRequest{Method: "POST", Body: map[string]any{"a": []any{"${config.site}", json.Number("1"), nil, true}}}
		o.RevocationURL, o.Revocation = "https://a.example/revoke", &connectors.EndpointRequest{Auth: "client", BodyForm: map[string]string{"t": "${token.access_token}"}}
		o.ErrorWords = &connectors.ErrorWords{DeadToken: []string{"a"}, WrongApp: []string{"b"}, Retry: []string{"c"}, Cancelled: []string{"d"}}
		o.ResourcesURL, o.Installation = "https://a.example/installations", &connectors.Installation{Param: "installation_id", TokenURL: "https://a.example/i/${installation.id}", ClientSecret: "${app.extra.key}", ClientAuth: connectors.ClientAuthKeyJWT, Mint: &connectors.Mint{}}
		c.Auth.Headers = map[string]string{"Client-Id": "${app.client_id}"}
	}))
	back, err := connectors.ParseDefinition(mustDefine(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Auth, back.Auth); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnInstallationHasItsOwnEndpointAndClient(t *testing.T) {
	t.Parallel()
	c := registered(t, oauthWith(func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.ResourcesURL = "https://a.example/installations"
		o.Installation = &connectors.Installation{Param: "installation_id", TokenURL: "https://a.example/i/${installation.id}/tokens", ClientSecret: "${app.extra.key}"}
	}))
	as, ok := c.Installed("1/../2?x=&")
	if !ok {
		t.Fatal("the connector has no installation")
	}
	urls, err := as.OAuthEndpoints(nil)
	if want := "https://a.example/i/1%2F..%2F2%3Fx%3D%26/tokens"; err != nil || urls.Token != want {
		t.Errorf("got %s %v, want %s", urls.Token, err, want)
	}
	client, err := c.InstallationClient(connectors.Client{ID: "id", Secret: secret.New("s"), Extra: map[string]secret.Text{"key": secret.New("-----BEGIN\nKEY")}})
	if err != nil || client.ID != "id" || client.Secret.Reveal() != "-----BEGIN\nKEY" {
		t.Errorf("client: got %v %v, want the app's id with its further key", client.ID, err)
	}
	if _, err := c.InstallationClient(connectors.Client{ID: "id"}); err == nil {
		t.Error("a client without the key was made")
	}
	for _, bad := range []string{"", ".", ".."} {
		if _, ok := c.Installed(bad); ok {
			t.Errorf("%q is taken for an installation", bad)
		}
	}
}

func TestMistakesInRequestsAreRefused(t *testing.T) {
	t.Parallel()
	off := false
	for want, change := range map[string]func(*connectors.Connector, *connectors.OAuth2){
		"pkce cannot be false for a client without a secret": func(_ *connectors.Connector, o *connectors.OAuth2) { o.PKCE, o.ClientID = &off, "public" },
		"response_mode must be query or form_post":           func(_ *connectors.Connector, o *connectors.OAuth2) { o.ResponseMode = "fragment" },
		"scope_in can hold code and refresh":                 func(_ *connectors.Connector, o *connectors.OAuth2) { o.ScopeIn = []string{"all"} },
		"token_url must not contain a fragment":              func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenURL += "#x" },
		`token_url may contain "${" only in`:                 func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenURL += "/${app.client_id}" },
		"authorization_url has the parameter state":          func(_ *connectors.Connector, o *connectors.OAuth2) { o.AuthorizationURL += "?state=x" },
		"must not have a field of the app or the token in its host": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.UserInfoURL = "https://${token.access_token}.example/me"
		},
		"extra_params.x names the config field \"key\", which is a secret": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ExtraParams = map[string]string{"x": "${config.key}"}
		},
		"extra_params.x cannot name app.client_secret": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ExtraParams = map[string]string{"x": "${app.client_secret}"}
		},
		"scopes names the config field \"key\", which is a secret": func(_ *connectors.Connector, o *connectors.OAuth2) { o.Scopes = []string{"${config.key}"} },
		"refresh_params.grant_type is set by the flow": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.RefreshParams = map[string]string{"grant_type": "x"}
		},
		"extra_params.nonce is set by the flow": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Nonce, o.ExtraParams = true, map[string]string{"nonce": "x"}
		},
		"token_headers.Host is not the name of a header": func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenHeaders = map[string]string{"Host": "x"} },
		"auth.headers.X cannot name app.client_secret": func(c *connectors.Connector, _ *connectors.OAuth2) {
			c.Auth.Headers = map[string]string{"X": "${app.client_secret}"}
		},
		"auth.headers.X can name app.client_id and app.extra.<name>": func(c *connectors.Connector, _ *connectors.OAuth2) {
			c.Auth.Headers = map[string]string{"X": "${app.other}"}
		},
		"a key of the operator's client is sent there": func(c *connectors.Connector, _ *connectors.OAuth2) {
			c.BaseURL, c.Auth.Headers = "https://${config.host}", map[string]string{"X": "${app.extra.key}"}
		},
		"revocation needs auth.oauth2.revocation_url": func(_ *connectors.Connector, o *connectors.OAuth2) { o.Revocation = &connectors.EndpointRequest{} },
		"userinfo.auth cannot be client": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.UserInfoURL, o.UserInfo = "https://a.example/me", &connectors.EndpointRequest{Auth: "client"}
		},
		"revocation can have body or body_form": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.RevocationURL, o.Revocation = "https://a.example/r", &connectors.EndpointRequest{Body: "x", BodyForm: map[string]string{"a": "b"}}
		},
		"can name token.access_token and token.refresh_token, got token.id": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.RevocationURL, o.Revocation = "https://a.example/${token.id}", &connectors.EndpointRequest{}
		},
		"installation.param is an id that any browser can send": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Installation = &connectors.Installation{Param: "tenant", TokenURL: "https://a.example/${installation.id}"}
		},
		"installation.token_url is required": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ResourcesURL, o.Installation = "https://a.example/i", &connectors.Installation{Param: "tenant"}
		},
		"installation.token_url contains the config field \"host\"": func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ResourcesURL, o.Installation = "https://a.example/i", &connectors.Installation{Param: "tenant", TokenURL: "https://${config.host}/${installation.id}"}
		},
	} {
		err := connectors.NewRegistry().Register(oauthWith(change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
