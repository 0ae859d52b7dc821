package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// hosted returns a connector of kind oauth2 whose config has a host, changed by alter.
func hosted(t testing.TB, alter func(*connectors.Connector, *connectors.OAuth2)) connectors.Connector {
	return service(func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Config = mustSchema(t, `{"type":"object","properties":{
			"host":{"type":"string"}, "region":{"enum":["eu","us"]}, "only":{"const":"eu"},
			"client":{"type":"object","properties":{"id":{"type":"string"},"secret":{"type":"string","writeOnly":true}}}}}`)
		c.Auth.Kind, o.AuthorizationURL = connectors.AuthOAuth2, "https://${config.host}/authorize"
		alter(c, o)
	})
}

// setConfigClient makes the config bring the client.
func setConfigClient(o *connectors.OAuth2) {
	o.ClientID, o.ClientSecret = "${config.client.id}", "${config.client.secret}"
}

// A tenant who could choose the host would receive the secret of the operator's client.
func TestTheOperatorsSecretIsSentToNoHostThatATenantChooses(t *testing.T) {
	t.Parallel()
	const chosen = "https://${config.host}/token"
	token := func(url string) func(*connectors.Connector, *connectors.OAuth2) {
		return func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenURL = url }
	}
	for _, tc := range []struct {
		name  string
		alter func(*connectors.Connector, *connectors.OAuth2)
		at    string // the field that is refused; "": none
	}{
		{"a host", token(chosen), "auth.oauth2.token_url"},
		{"a whole URL", token("${config.host}/oauth/token"), "auth.oauth2.token_url"},
		{"the end of a host", token("https://auth.${config.host}/token"), "auth.oauth2.token_url"},
		{"the end of a domain's name", token("https://${config.host}x.example/token"), "auth.oauth2.token_url"},
		{"a domain below a top level", token("https://${config.host}.example/token"), "auth.oauth2.token_url"},
		{"the begin of an IP address", token("https://${config.host}.0.0.1/token"), "auth.oauth2.token_url"},
		{"a port", token("https://x.example:${config.host}/token"), "auth.oauth2.token_url"},
		{"a domain after a region", token("https://${config.region}.${config.host}/token"), "auth.oauth2.token_url"},
		{"of refreshes", func(_ *connectors.Connector, o *connectors.OAuth2) { o.RefreshURL = chosen }, "auth.oauth2.refresh_url"},
		{"of revocations", func(_ *connectors.Connector, o *connectors.OAuth2) { o.RevocationURL = chosen }, "auth.oauth2.revocation_url"},
		{"of an exchange", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Exchange = &connectors.Exchange{URL: chosen} }, "auth.oauth2.exchange.url"},
		{"of a renewal", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Renewal = &connectors.Exchange{URL: chosen} }, "auth.oauth2.renewal.url"},
		{"of a companion's refreshes", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Companions = map[string]connectors.Companion{"user": {TokenFields: map[string]string{"access_token": "user.token"}, RefreshURL: chosen}}
		}, "auth.oauth2.companions.user.refresh_url"},
		{"of a companion's revocations", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Companions = map[string]connectors.Companion{"user": {TokenFields: map[string]string{"access_token": "user.token"}, RevocationURL: chosen}}
		}, "auth.oauth2.companions.user.revocation_url"},
		{"of a companion's exchange", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Companions = map[string]connectors.Companion{"user": {Exchange: &connectors.Exchange{URL: chosen}}}
		}, "auth.oauth2.companions.user.exchange.url"},
		{"for a JWT of the operator's key", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.TokenURL = connectors.ClientAuthKeyJWT, chosen
		}, "auth.oauth2.token_url"},
		{"of an exchange with a JWT", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Exchange = connectors.ClientAuthKeyJWT, &connectors.Exchange{URL: chosen, Omit: []string{"client_secret"}}
		}, "auth.oauth2.exchange.url"},
		{"before Validate is called", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate, c.Auth.Kind, o.TokenURL = proves, connectors.AuthClientCredentials, chosen
		}, "auth.oauth2.token_url"},
		{"for MintToken", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate, c.Auth.Kind, o.TokenURL = proves, connectors.AuthClientCredentials, chosen
			o.ParamNames = map[string]string{"client_secret": ""}
			o.MintToken = func(context.Context, *connectors.MintRequest) (json.RawMessage, error) { return nil, nil }
		}, "auth.oauth2.token_url"},
		{"for SignToken", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate, c.Auth.Kind, o.TokenURL = proves, connectors.AuthClientCredentials, chosen
			o.ParamNames = map[string]string{"client_secret": ""}
			o.SignToken = func(*http.Request, []byte, connectors.Secret) error { return nil }
		}, "auth.oauth2.token_url"},
		{"of the API, for the operator's own token", func(c *connectors.Connector, _ *connectors.OAuth2) {
			c.Validate, c.Auth.Kind, c.BaseURL = proves, connectors.AuthClientCredentials, "https://${config.host}/api"
		}, "base_url"},
		{"for a secret in the definition", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenURL, o.ClientID, o.ClientSecret = chosen, "${config.client.id}", "everybodys"
		}, "auth.oauth2.token_url"},
		{"for a secret without its client", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenURL, o.ClientSecret = chosen, "${config.client.secret}"
		}, "auth.oauth2.token_url"},
		{"for a secret of the default config", func(c *connectors.Connector, o *connectors.OAuth2) {
			setConfigClient(o)
			o.TokenURL, c.DefaultConfig = chosen, json.RawMessage(`{"host":"x.example","client":{"id":"1","secret":"-----BEGIN\nkey\n"}}`)
		}, "auth.oauth2.token_url"},
		{"for a login of the default config", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.TokenURL, c.DefaultConfig = connectors.AuthClientCredentials, chosen, json.RawMessage(`{"client":{"secret":"everybodys"}}`)
			o.ParamNames, o.TokenParams = map[string]string{"client_secret": ""}, map[string]string{"password": "${config.client.secret}"}
		}, "auth.oauth2.token_url"},

		{"a region", token("https://${config.region}.x.example/token"), ""},
		{"the only region", token("https://auth.${config.only}/token"), ""},
		{"a name in the provider's domain", token("https://${config.host}.x.example/token"), ""},
		{"a part of a name in it", token("https://auth-${config.host}-${config.region}.x.example:8443/token"), ""},
		{"names in it", token("https://${config.host}.${config.host}.x.example/token"), ""},
		{"a path", token("https://x.example/${config.host}/token"), ""},
		{"for a client of the config", func(_ *connectors.Connector, o *connectors.OAuth2) {
			setConfigClient(o)
			o.TokenURL, o.RevocationURL = chosen, chosen
		}, ""},
		{"for a client of the config, not of the default one", func(c *connectors.Connector, o *connectors.OAuth2) {
			setConfigClient(o)
			o.TokenURL, c.DefaultConfig = chosen, json.RawMessage(`{"host":"x.example","client":{"id":"1"}}`)
		}, ""},
		{"for a client without a secret", func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenURL, o.ClientID = chosen, "public" }, ""},
		{"for an exchange without the client's secret", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Exchange = &connectors.Exchange{URL: chosen, Omit: []string{"client_secret"}}
		}, ""},
		{"for a login of the config", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.TokenURL, c.BaseURL = connectors.AuthClientCredentials, chosen, "https://${config.host}/api"
			o.ParamNames, o.TokenParams = map[string]string{"client_secret": ""}, map[string]string{"password": "${config.client.secret}"}
		}, ""},
		{"of the API and the user info, for a user's token", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.BaseURL, o.UserInfoURL, o.ResourcesURL = "https://${config.host}/api", "https://${config.host}/me", "https://${config.host}/sites"
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := connectors.NewRegistry().Register(hosted(t, tc.alter))
			if tc.at == "" && err != nil || tc.at != "" && (err == nil || !strings.Contains(err.Error(), tc.at+` contains the config field "host", which any tenant can set, and `)) {
				t.Errorf("Register = %v, want a refusal of %q", err, tc.at)
			}
		})
	}
}

func TestARefusedSecretHostSaysWhatToDo(t *testing.T) {
	t.Parallel()
	c := hosted(t, func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Auth.Kind, o.AuthorizationURL = connectors.AuthClientCredentials, ""
		c.Validate, c.BaseURL, o.TokenURL = proves, "https://${config.host}/api", "https://${config.host}/token"
	})
	const remedy = "list its values in the schema (enum), have the host end in the provider's domain (${config.host}.example.com), or have the config bring the client (client_id, client_secret)"
	want := `connector "service": auth.oauth2.token_url contains the config field "host", which any tenant can set, and the secret of the operator's client (or what it signs) is sent there: ` + remedy +
		`; base_url contains the config field "host", which any tenant can set, and the token of the operator's client is sent there: ` + remedy
	if err := connectors.NewRegistry().Register(c); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("Register:\n got %v\nwant %s", err, want)
	}
	setConfigClient(c.Auth.OAuth2)
	c.DefaultConfig = json.RawMessage(`{"client":{"secret":"everybodys"}}`)
	if err := connectors.NewRegistry().Register(c); err == nil || !strings.Contains(err.Error(), "the secret of the default config (or what it signs) is sent there: leave it out of default_config, ") {
		t.Errorf("Register = %v, want that default_config is to leave the secret out", err)
	}
}

func TestParseDefinitionRefusesSecretHostsToo(t *testing.T) {
	t.Parallel()
	c := registered(t, hosted(t, func(_ *connectors.Connector, o *connectors.OAuth2) {
		setConfigClient(o)
		o.TokenURL = "https://${config.host}/token"
	}))
	doc := string(mustDefine(t, c))
	const client = `,"client_id":"${config.client.id}","client_secret":"${config.client.secret}"`
	if !strings.Contains(doc, client) {
		t.Fatalf("the definition brings no client: %s", doc)
	}
	if _, err := connectors.ParseDefinition([]byte(doc)); err != nil {
		t.Errorf("ParseDefinition = %v, want it accepted with the config's client", err)
	}
	if _, err := connectors.ParseDefinition([]byte(strings.Replace(doc, client, "", 1))); err == nil || !strings.Contains(err.Error(), "auth.oauth2.token_url contains") {
		t.Errorf("ParseDefinition = %v, want it refused with the operator's client", err)
	}
}

func TestAConfigValueInAHostCannotLeaveItsDomain(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{".x.example", ".x.example:8443", "-eu.x.example"} {
		c := registered(t, hosted(t, func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.AuthorizationURL, o.TokenURL = "https://x.example/authorize", "https://${config.host}"+domain+"/token"
		}))
		resolve := func(host string) (string, error) {
			config, err := json.Marshal(map[string]string{"host": host})
			if err != nil {
				t.Fatal(err)
			}
			urls, err := c.OAuthEndpoints(config)
			return urls.Token, err
		}
		for _, host := range []string{
			"evil.example/", "evil.example/x", "evil.example?", "evil.example#", `evil.example\`, "a@evil.example", "a:b@evil", "evil.example:443", "evil.example:443:", "[::1]",
			"https://evil.example/", "evil.example%2f", "evil.example%00", "evil.example\n", "evil.example ", "evil．example", "evil.example／", ".", "..", "-", "a..b", ".evil", "evil.",
		} {
			if u, err := resolve(host); err == nil {
				t.Errorf("%q before %s makes %s, want it refused", host, domain, u)
			}
		}
		if u, err := resolve("acme.eu"); err != nil || u != "https://acme.eu"+domain+"/token" {
			t.Errorf("acme.eu before %s: got %q, %v, want it there", domain, u, err)
		}
	}
}

// The config may have been stored under an older schema, or under that of another connector
// of the family.
func TestAHostThatTheSchemaDoesNotListIsRefused(t *testing.T) {
	t.Parallel()
	listed := registered(t, hosted(t, func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.AuthorizationURL, o.RefreshURL = "https://x.example/authorize", "https://auth.${config.region}/refresh"
		o.TokenURL = "https://x.example/${config.only}/token"
	}))
	service := registered(t, hosted(t, func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Auth.Kind, o.AuthorizationURL, c.BaseURL = connectors.AuthClientCredentials, "", "https://api.${config.region}"
	}))
	user := registered(t, hosted(t, func(c *connectors.Connector, _ *connectors.OAuth2) { c.BaseURL = "https://api.${config.region}" }))
	for region, want := range map[string]bool{"eu": true, "evil.example": false} {
		config := []byte(`{"region":"` + region + `","host":"x.example","only":"us"}`)
		_, tokens := listed.OAuthEndpoints(config)
		_, own := service.Resolve(config)
		for what, err := range map[string]error{"OAuthEndpoints": tokens, "Resolve, for the operator's token": own} {
			if want && err != nil || !want && !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) {
				t.Errorf("%s in %s: got %v, want it accepted: %v", what, region, err, want)
			}
		}
		if _, err := user.Resolve(config); err != nil {
			t.Errorf("Resolve in %s, for a user's token: %v", region, err)
		}
	}
}
