package oauth_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// recorder is a provider that records its requests.
type recorder struct {
	reply string // default: a token
	mu    sync.Mutex
	asked []request
}

// request is one request, with its parameters by name.
type request struct {
	Path, Kind, Basic string
	Params            map[string]string
}

func (l *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	asked := request{Path: r.URL.Path, Kind: kind, Params: map[string]string{}}
	asked.Basic, _, _ = r.BasicAuth()
	if kind == "application/json" {
		_ = json.Unmarshal(body, &asked.Params)
	} else {
		form, _ := url.ParseQuery(string(body))
		for name := range form {
			asked.Params[name] = form.Get(name)
		}
	}
	for name := range r.URL.Query() {
		asked.Params[name] = r.URL.Query().Get(name)
	}
	if v := asked.Params["code_verifier"]; v != "" {
		asked.Params["code_verifier"] = "verifier" // it is random
	}
	l.mu.Lock()
	l.asked = append(l.asked, asked)
	l.mu.Unlock()
	_, _ = io.WriteString(w, cmp.Or(l.reply, `{"access_token":"tok","refresh_token":"r","expires_in":3600}`))
}

// Parameter names and content types are data of the definition.
func TestTokenRequestsFollowTheDefinition(t *testing.T) {
	t.Parallel()
	renamed := map[string]string{"client_id": "client_key", "redirect_uri": "redirect_url", "response_type": "", "state": "payload", "code": "auth_code"}
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		name    string
		with    func(*connectors.OAuth2)
		asks    map[string]string // of the authorization request, where it differs
		answers [2]string         // names of state and code in the callback
		want    []request
	}{{
		name: "renamed, as JSON", answers: [2]string{"payload", "auth_code"},
		with: func(o *connectors.OAuth2) {
			o.ParamNames, o.TokenBody, o.TokenParams = renamed, connectors.TokenBodyJSON, map[string]string{"audience": "api"}
			o.ScopeSeparator, o.ExtraParams = ",", map[string]string{"prompt": "consent"}
		},
		asks: map[string]string{"client_key": "demo-client", "redirect_url": "/connectors/p/oauth/callback", "scope": "read,profile", "prompt": "consent", "client_id": "", "response_type": "", "state": ""},
		want: []request{
			{Path: "/token", Kind: json, Params: map[string]string{"grant_type": "authorization_code", "auth_code": "CODE", "client_key": "demo-client", "client_secret": "demo-secret", "redirect_url": "/connectors/p/oauth/callback", "code_verifier": "verifier", "audience": "api"}},
			{Path: "/token", Kind: json, Params: map[string]string{"grant_type": "refresh_token", "refresh_token": "r", "client_key": "demo-client", "client_secret": "demo-secret", "audience": "api"}},
			{Path: "/revoke", Kind: form, Params: map[string]string{"token": "r", "token_type_hint": "refresh_token", "client_key": "demo-client", "client_secret": "demo-secret"}},
		},
	}, {
		name: "basic and JSON", answers: [2]string{"state", "code"},
		with: func(o *connectors.OAuth2) {
			o.ClientAuth, o.TokenBody = connectors.ClientAuthBasic, connectors.TokenBodyJSON
		},
		asks: map[string]string{"client_id": "demo-client", "response_type": "code", "scope": "read profile"},
		want: []request{
			{Path: "/token", Kind: json, Basic: "demo-client", Params: map[string]string{"grant_type": "authorization_code", "code": "CODE", "redirect_uri": "/connectors/p/oauth/callback", "code_verifier": "verifier"}},
			{Path: "/token", Kind: json, Basic: "demo-client", Params: map[string]string{"grant_type": "refresh_token", "refresh_token": "r"}},
			{Path: "/revoke", Kind: form, Basic: "demo-client", Params: map[string]string{"token": "r", "token_type_hint": "refresh_token"}},
		},
	}, {
		name: "in the query, refreshed elsewhere", answers: [2]string{"state", "code"},
		with: func(o *connectors.OAuth2) {
			o.TokenBody, o.RevocationURL, o.ScopeSeparator = connectors.TokenBodyQuery, "", "+"
			o.RefreshURL = strings.TrimSuffix(o.TokenURL, "/token") + "/refresh"
		},
		asks: map[string]string{"scope": "read+profile"},
		want: []request{
			{Path: "/token", Params: map[string]string{"grant_type": "authorization_code", "code": "CODE", "client_id": "demo-client", "client_secret": "demo-secret", "redirect_uri": "/connectors/p/oauth/callback", "code_verifier": "verifier"}},
			{Path: "/refresh", Params: map[string]string{"grant_type": "refresh_token", "refresh_token": "r", "client_id": "demo-client", "client_secret": "demo-secret"}},
		},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			provider := &recorder{}
			in := install(t, nil, oauthConnector("p", newServer(t, provider), func(o *connectors.OAuth2) {
				o.UserInfoURL = ""
				tc.with(o)
			}))
			in.setApp("p", records.App{ClientID: "demo-client", ClientSecrets: demoApp.ClientSecrets, ExtraParams: map[string]string{"PAYLOAD": "mine", "Client_Key": "mine"}})
			const path = "/scopes/organization/acme/connections/p"
			started := in.start(path, map[string]any{})
			b := testenv.NewBrowser(t)
			_, authorize, _ := b.Get(started)
			for name, want := range tc.asks {
				if got := strings.TrimPrefix(parameterOf(t, authorize, name), in.url); got != want {
					t.Errorf("authorization request: %s is %q, want %q", name, got, want)
				}
			}
			state := parameterOf(t, authorize, tc.answers[0])
			if tc.answers[0] == "payload" && (strings.Contains(authorize, "PAYLOAD") || strings.Contains(authorize, "Client_Key")) {
				t.Errorf("%s: what is ours is there in another case", authorize)
			}
			callback := in.url + "/connectors/p/oauth/callback?" + url.Values{tc.answers[0]: {state}, tc.answers[1]: {"CODE"}}.Encode()
			if status, _, body := b.Get(callback); status != http.StatusOK {
				t.Fatalf("callback: got %d %s", status, body)
			}
			if status, problem := in.call(http.MethodPost, path+"/refresh", nil, nil); status != http.StatusOK {
				t.Fatalf("refresh: got %d %v", status, &problem)
			}
			in.call(http.MethodDelete, path, nil, nil)
			provider.mu.Lock()
			defer provider.mu.Unlock()
			for _, asked := range provider.asked {
				for name, value := range asked.Params {
					asked.Params[name] = strings.TrimPrefix(value, in.url)
				}
			}
			if diff := gocmp.Diff(tc.want, provider.asked); diff != "" {
				t.Errorf("what the provider was asked (-want +got):\n%s", diff)
			}
		})
	}
}

// A program that has only the definition of a connector spends no code and no refresh
// token on responses that it cannot read.
func TestAProgramWithoutTheConnectorsCodeRequestsNoToken(t *testing.T) {
	t.Parallel()
	provider := &recorder{}
	odd := oauthConnector("odd", newServer(t, provider), func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL = "", ""
		o.ParseToken = func(_ int, _ http.Header, body []byte) (json.RawMessage, error) { return body, nil }
	})
	in := installWithApp(t, nil, odd)
	grant := in.storeExpired(t, "odd")
	in.front.Registry = connectors.NewRegistry() // of the processes that join from here on
	without := in.front.Join(t)
	if _, err := without.OAuth.Source.Fresh(t.Context(), grant); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		t.Errorf("fresh: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
	}
	if _, err := without.Flow.Starter.Start(t.Context(), records.NewRef(acme, "odd", "second"), flow.StartInput{}); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		t.Errorf("start: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
	}
	if len(provider.asked) != 0 {
		t.Errorf("the provider was asked %v, want nothing", provider.asked)
	}
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err != nil {
		t.Errorf("with the code: %v", err)
	}
}
