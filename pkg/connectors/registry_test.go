package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// chat is a connector with a bit of everything.
func chat() connectors.Connector {
	return connectors.Connector{
		Key: "chat", Version: "2.1.0-rc.1",
		Metadata:      connectors.Metadata{Name: "Chat & Co", Description: "Messages", Icon: "https://chat.example/i.svg", Categories: []string{"talk"}, DocsURL: "https://chat.example/docs"},
		Config:        schema.For[chatConfig](),
		DefaultConfig: json.RawMessage(`{"apiKey":"canary-7f3a","webhookSecret":"canary-7f3a","region":"eu"}`),
		BaseURL:       "https://${config.region}.chat.example/v1",
		Auth:          connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Bearer ${config.apiKey}"}},
		Actions: []connectors.Action{
			connectors.NewAction("send", func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{}, nil },
				&connectors.ActionOptions{Description: "Sends", Idempotent: true, Timeout: 10 * time.Second}),
			{Key: "raw_call-2", Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) { return nil, nil }},
		},
		Validate: func(context.Context, *connectors.Call) error { return nil },
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "webhookSecret",
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}",
			}},
		}},
	}
}

type chatConfig struct {
	APIKey        connectors.Secret `json:"apiKey"`
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	Region        string            `json:"region" jsonschema:"enum=eu,enum=us"`
	Channel       string            `json:"channel" jsonschema:"default=general"`
}

func TestRegistryReturnsConnectorsInOrder(t *testing.T) {
	t.Parallel()
	r := connectors.NewRegistry()
	for _, key := range []string{"zeta", "alpha", "mid-1"} {
		if err := r.Register(connectors.Connector{Key: key, Config: schema.For[struct{}]()}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, c := range r.All() {
		got = append(got, c.Key+" "+c.Version)
	}
	if diff := cmp.Diff([]string{"zeta 1.0.0", "alpha 1.0.0", "mid-1 1.0.0"}, got); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if _, ok := r.Get("none"); ok {
		t.Error("Get has found what is not there")
	}
	c, ok := r.Get("alpha")
	if !ok || c.Key != "alpha" || c.Auth.Kind != connectors.AuthNone {
		t.Errorf("Get = %v, %v", c, ok)
	}
}

func TestRegisterFillsInDefaults(t *testing.T) {
	t.Parallel()
	r := connectors.NewRegistry()
	given := chat()
	if err := r.Register(given); err != nil {
		t.Fatal(err)
	}
	c, _ := r.Get("chat")
	if got, want := string(c.DefaultConfig), `{"apiKey":"canary-7f3a","channel":"general","region":"eu","webhookSecret":"canary-7f3a"}`; got != want {
		t.Errorf("default config %s, want %s", got, want)
	}
	send, _ := c.Action("send")
	raw, _ := c.Action("raw_call-2")
	if send.Timeout != 10*time.Second || send.MaxAttempts != 5 || raw.Timeout != 30*time.Second || raw.MaxAttempts != 5 {
		t.Errorf("actions %s/%d and %s/%d, want 10s/5 and 30s/5", send.Timeout, send.MaxAttempts, raw.Timeout, raw.MaxAttempts)
	}
	if given.Actions[1].Timeout != 0 {
		t.Error("Register has written to the connector that it was given")
	}
	if _, ok := c.Action("none"); ok {
		t.Error("Action has found what is not there")
	}
}

func TestRegisterRefusesEveryMistake(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*connectors.Connector)
		code  connectors.Code
		want  string
	}{
		{"no config schema", func(c *connectors.Connector) { c.Config = nil }, "CONNECTOR_BUILD_CONFIG_REQUIRED", "config is required"},
		{"no key", func(c *connectors.Connector) { c.Key = "" }, "INTERNAL", "key must be [a-z]"},
		{"a bad key", func(c *connectors.Connector) { c.Key = "Chat.x" }, "INTERNAL", `key must be [a-z][a-z0-9-]*, at most 64 bytes, got "Chat.x"`},
		{"a long key", func(c *connectors.Connector) { c.Key = strings.Repeat("a", 65) }, "INTERNAL", "key must be"},
		{"a bad version", func(c *connectors.Connector) { c.Version = "1.2" }, "INTERNAL", "version must be a semantic version"},
		{"a config that is no object", func(c *connectors.Connector) { c.Config = schema.For[string]() }, "INTERNAL", "config must be the schema of an object"},
		{"a config that is a secret", func(c *connectors.Connector) { c.Config = mustSchema(t, `{"type":"object","writeOnly":true}`) }, "INTERNAL", "config cannot be a secret as a whole"},
		{"a default for a secret", func(c *connectors.Connector) {
			c.Config = mustSchema(t, `{"type":"object","properties":{"a":{"properties":{"k":{"writeOnly":true,"default":"x"}}}}}`)
		}, "INTERNAL", "config.a.k is a secret and cannot have a default"},
		{"a default inside a secret", func(c *connectors.Connector) {
			c.Config = mustSchema(t, `{"type":"object","$defs":{"d":{"properties":{"k":{"default":"x"}}}},"properties":{"a":{"$ref":"#/$defs/d"},"b":{"writeOnly":true,"$ref":"#/$defs/d"}}}`)
		}, "INTERNAL", "config.b.k is a secret and cannot have a default"},
		{"a bad default config", func(c *connectors.Connector) { c.DefaultConfig = json.RawMessage(`{"region":"canary-7f3a"}`) }, "CONNECTOR_CONFIG_INVALID", `default_config.apiKey is required; default_config.region must be one of "eu", "us"`},
		{"a default config that is no JSON", func(c *connectors.Connector) { c.DefaultConfig = json.RawMessage(`{`) }, "CONNECTOR_CONFIG_INVALID", "default_config is not valid JSON"},
		{"a bad base URL", func(c *connectors.Connector) { c.BaseURL = "chat.example" }, "INTERNAL", "base_url must begin with http"},
		{"a placeholder as the scheme", func(c *connectors.Connector) { c.BaseURL = "h${config.region}://x" }, "INTERNAL", "base_url must not have a field before ://"},
		{"a user in the base URL", func(c *connectors.Connector) { c.BaseURL = "https://u@${config.region}" }, "INTERNAL", "base_url must not contain a user"},
		{"a query in the base URL", func(c *connectors.Connector) { c.BaseURL = "https://x.example/?k=${config.apiKey}" }, "INTERNAL", "base_url must not contain a query"},
		{"credentials without a base URL", func(c *connectors.Connector) { c.BaseURL = "" }, "INTERNAL", "base_url is required"},
		{"an unknown field in the base URL", func(c *connectors.Connector) { c.BaseURL = "https://${config.site}.example" }, "INTERNAL", `base_url names the config field "site", which does not exist`},
		{"an unknown field in a header", func(c *connectors.Connector) { c.Auth.Headers["X"] = "${config.apikey}" }, "INTERNAL", `auth.headers.X names the config field "apikey"`},
		{"another placeholder", func(c *connectors.Connector) { c.Auth.Headers["X"] = "${token}" }, "INTERNAL", `auth.headers.X may contain "${" only in "${config.<dotted path>}"`},
		{"an open placeholder", func(c *connectors.Connector) { c.Auth.Headers["X"] = "${config.apiKey" }, "INTERNAL", "auth.headers.X may contain"},
		{"a line break in a header", func(c *connectors.Connector) { c.Auth.Headers["X"] = "a\nb" }, "INTERNAL", "auth.headers.X must not contain control characters"},
		{"a bad header name", func(c *connectors.Connector) { c.Auth.Headers["X Y"] = "a" }, "INTERNAL", "auth.headers.X Y is not the name of a header"},
		{"the Host header", func(c *connectors.Connector) { c.Auth.Headers["host"] = "a" }, "INTERNAL", "auth.headers.host is not the name of a header"},
		{"a header twice", func(c *connectors.Connector) { c.Auth.Headers["authorization"] = "a" }, "INTERNAL", "auth.headers.authorization occurs twice"},
		{"a parameter without a name", func(c *connectors.Connector) { c.Auth.Query = map[string]string{"": "a"} }, "INTERNAL", "auth.query has a parameter without a name"},
		{"an unknown kind", func(c *connectors.Connector) { c.Auth.Kind = "magic" }, "INTERNAL", `auth.kind is unknown: "magic"`},
		{"a key that is not used", func(c *connectors.Connector) { c.Auth.Headers = map[string]string{"X": "fixed"} }, "INTERNAL", "auth of kind api_key needs a header"},
		{"basic without credentials", func(c *connectors.Connector) { c.Auth = connectors.Auth{Kind: connectors.AuthBasic} }, "INTERNAL", "auth of kind basic needs"},
		{"basic with its own header", func(c *connectors.Connector) { c.Auth.Kind, c.Auth.Username = connectors.AuthBasic, "${config.apiKey}" }, "INTERNAL", "auth.headers.Authorization is set by the kind basic"},
		{"a password without basic", func(c *connectors.Connector) { c.Auth.Password = "x" }, "INTERNAL", "auth has a username or password"},
		{"OAuth beside another kind", func(c *connectors.Connector) { c.Auth.OAuth2 = &connectors.OAuth2{} }, "INTERNAL", "auth.oauth2 cannot be used with the kind api_key"},
		{"OAuth without its part", func(c *connectors.Connector) { c.Auth = connectors.Auth{Kind: connectors.AuthOAuth2} }, "CONNECTOR_OAUTH_NOT_CONFIGURED", "auth.oauth2 is required"},
		{"OAuth without URLs", func(c *connectors.Connector) {
			c.Auth = connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{ClientAuth: "x", UserInfoURL: "ftp://x", ExtraParams: map[string]string{"State": "1"}, Family: "A"}}
		}, "CONNECTOR_OAUTH_NOT_CONFIGURED", `auth.oauth2.authorization_url is required; auth.oauth2.client_auth must be one of body, basic, basic_plain, client_secret_jwt, private_key_jwt, tls_client_auth, got "x"; auth.oauth2.extra_params.State is set by the flow itself; auth.oauth2.family must be [a-z][a-z0-9-]*, got "A"; auth.oauth2.token_url is required; auth.oauth2.userinfo_url must begin with http`},
		{"OAuth parameters with conflicting names", func(c *connectors.Connector) {
			c.Auth = connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
				AuthorizationURL: "https://x.example/a", TokenURL: "https://x.example/t", TokenBody: "soap",
				ParamNames:  map[string]string{"client_id": "client_key", "code": "scope", "state": "", "prompt": "ask", "redirect_uri": "a b"},
				ExtraParams: map[string]string{"Client_Key": "1"}, TokenParams: map[string]string{"client_id": "1"},
			}}
		}, "INTERNAL", `auth.oauth2.extra_params.Client_Key is set by the flow itself; auth.oauth2.param_names.code is the name of scope; ` +
			`auth.oauth2.param_names.prompt is not a parameter of the flow; auth.oauth2.param_names.redirect_uri must not contain blanks or control characters; ` +
			`auth.oauth2.param_names.state cannot be left out; auth.oauth2.token_body must be one of form, json, query, xml, got "soap"; auth.oauth2.token_params.client_id is set by the flow itself`},
		{"invalid companions", func(c *connectors.Connector) {
			c.BaseURL = "https://x.example"
			c.Auth = connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
				AuthorizationURL: "https://x.example/a", TokenURL: "https://x.example/t",
				Companions: map[string]connectors.Companion{
					"A":     {TokenFields: map[string]string{"access_token": "a"}, ScopeParam: "scope"},
					"empty": {Scopes: []string{"s"}, BaseURL: "ftp://x"},
				},
			}}
		}, "INTERNAL", `auth.oauth2.companions.A must have a name of the form [a-z][a-z0-9-]*, got "A"; auth.oauth2.companions.A.scope_param is set by the flow itself; ` +
			`auth.oauth2.companions.empty.base_url must begin with http:// or https://; auth.oauth2.companions.empty.scope_param is required because there are scopes; ` +
			`auth.oauth2.companions.empty.token_fields must name the place of access_token if there is no exchange`},
		{"an exchange of the client's own token", func(c *connectors.Connector) {
			c.BaseURL = "https://x.example"
			c.Auth = connectors.Auth{Kind: connectors.AuthClientCredentials, OAuth2: &connectors.OAuth2{TokenURL: "https://x.example/t", Exchange: &connectors.Exchange{}}}
		}, "INTERNAL", "auth.oauth2 cannot have an exchange or a renewal with the kind client_credentials"},
		{"invalid exchanges", func(c *connectors.Connector) {
			c.BaseURL = "https://x.example"
			c.Auth = connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
				AuthorizationURL: "https://x.example/a", TokenURL: "https://x.example/t",
				Exchange: &connectors.Exchange{Method: "PUT", Token: "refresh_token", URL: "ftp://x"},
				Renewal:  &connectors.Exchange{Params: map[string]string{"subject_token": "1"}, Omit: []string{"scope"}},
			}}
		}, "INTERNAL", `auth.oauth2.exchange.method must be POST or GET, got "PUT"; auth.oauth2.exchange.token cannot be "refresh_token" here; ` +
			`auth.oauth2.exchange.url must begin with http:// or https://; auth.oauth2.renewal.omit can hold client_id and client_secret, got "scope"; ` +
			`auth.oauth2.renewal.params.subject_token is set by the exchange itself`},
		{"a bad action key", func(c *connectors.Connector) { c.Actions[1].Key = "a.b" }, "INTERNAL", `actions.1.key must be [A-Za-z]`},
		{"an action twice", func(c *connectors.Connector) { c.Actions[1].Key = "send" }, "INTERNAL", "actions.send occurs twice"},
		{"no handler", func(c *connectors.Connector) { c.Actions[0].Handler = nil }, "INTERNAL", "actions.send.handler is missing"},
		{"a bad timeout", func(c *connectors.Connector) { c.Actions[0].Timeout = -1 }, "INTERNAL", "actions.send.timeout must be between"},
		{"bad attempts", func(c *connectors.Connector) { c.Actions[0].MaxAttempts = 101 }, "INTERNAL", "actions.send.max_attempts must be between"},
		{"a bad webhook", func(c *connectors.Connector) { c.Webhook.Verify = nil }, "INTERNAL", "webhook.verify "},
		{"a webhook account that does not exist", func(c *connectors.Connector) { c.Webhook.AccountField = "teem" }, "INTERNAL", `webhook.account_field names the config field "teem", which does not exist`},
		{"a webhook secret that does not exist", func(c *connectors.Connector) { c.Webhook.SecretField = "signing" }, "INTERNAL", `webhook.secret_field names the config field "signing", which does not exist`},
		{"a webhook secret that is not marked secret", func(c *connectors.Connector) { c.Webhook.SecretField = "channel" }, "INTERNAL", `webhook.secret_field names the config field "channel", which is not marked secret`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := chat()
			tt.spoil(&c)
			r := connectors.NewRegistry()
			err := r.Register(c)
			if !errors.Is(err, &connectors.Error{Code: tt.code}) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Register = %v,\nwant %s: … %s", err, tt.code, tt.want)
			}
			if err != nil {
				mustNotShow(t, "canary-7f3a", err)
			}
			if len(r.All()) != 0 {
				t.Error("it was registered all the same")
			}
		})
	}
}

func TestRegisterReportsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	c := chat()
	c.Key, c.Actions[0].Handler, c.BaseURL = "X", nil, "x"
	err := connectors.NewRegistry().Register(c)
	if failure, ok := errors.AsType[*connectors.Error](err); !ok || len(failure.Errors) != 3 {
		t.Errorf("Register = %v, want three mistakes", err)
	}
}

func TestAKeyIsRegisteredOnlyOnce(t *testing.T) {
	t.Parallel()
	r := connectors.NewRegistry()
	if err := r.Register(chat()); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(chat()); !errors.Is(err, &connectors.Error{Code: connectors.CodeInternal}) || !strings.Contains(err.Error(), "the key is already registered") {
		t.Errorf("Register = %v, want that the key is already registered", err)
	}
	c := chat()
	if err := r.RegisterDefinition(&c); err == nil {
		t.Error("a definition has replaced a connector with code")
	}
	if r.RemoveDefinition("chat") {
		t.Error("a connector with code was removed")
	}
}

func TestDefinitionsAreReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	r := connectors.NewRegistry()
	define := func(key, version string) {
		t.Helper()
		if err := r.RegisterDefinition(&connectors.Connector{Key: key, Version: version, Config: schema.For[struct{}](), Actions: []connectors.Action{{Key: "x"}}}); err != nil {
			t.Fatal(err)
		}
	}
	define("a", "1.0.0")
	define("b", "1.0.0")
	old, _ := r.Get("a")
	define("a", "1.1.0")
	if all := r.All(); len(all) != 2 || all[0].Version != "1.1.0" || old.Version != "1.0.0" {
		t.Errorf("All = %v, want the new version in the old place", all)
	}
	if err := r.Register(connectors.Connector{Key: "a", Config: schema.For[struct{}]()}); err == nil {
		t.Error("a connector has silently taken the place of a stranger's")
	}
	if !r.RemoveDefinition("a") || r.RemoveDefinition("a") || len(r.All()) != 1 {
		t.Error("RemoveDefinition must remove once")
	}
	if err := r.RegisterDefinition(&connectors.Connector{Key: "c"}); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorBuildConfigRequired}) {
		t.Errorf("RegisterDefinition = %v, want the same checks", err)
	}
}

func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	r := connectors.NewRegistry()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			key := "c" + string(rune('a'+i))
			if err := r.Register(connectors.Connector{Key: key, Config: schema.For[struct{}]()}); err != nil {
				t.Error(err)
			}
			if err := r.RegisterDefinition(&connectors.Connector{Key: "shared", Config: schema.For[struct{}]()}); err != nil {
				t.Error(err)
			}
			r.Get(key)
			r.All()
		})
	}
	group.Wait()
	if got := len(r.All()); got != 9 {
		t.Errorf("%d connectors, want 9", got)
	}
}
