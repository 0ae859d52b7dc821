package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// service returns a connector of kind client_credentials, changed by alter.
func service(alter func(*connectors.Connector, *connectors.OAuth2)) connectors.Connector {
	o := &connectors.OAuth2{TokenURL: "https://x.example/token"}
	c := connectors.Connector{
		Key: "service", BaseURL: "https://api.x.example", Auth: connectors.Auth{Kind: connectors.AuthClientCredentials, OAuth2: o},
		Config: schema.For[struct {
			User string            `json:"user,omitempty"`
			Key  connectors.Secret `json:"key,omitempty"`
		}](),
	}
	alter(&c, o)
	return c
}

// proves is a Validate that accepts every config.
func proves(context.Context, *connectors.Call) error { return nil }

func TestRegisterRefusesInvalidTokenRequests(t *testing.T) {
	t.Parallel()
	mint := func(context.Context, *connectors.MintRequest) (json.RawMessage, error) { return nil, nil }
	for _, tc := range []struct {
		name  string
		alter func(*connectors.Connector, *connectors.OAuth2)
		want  string // "": none
	}{
		{"private_key_jwt", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Assertion{Algorithm: "PS256", Claims: map[string]string{"aud": "https://x.example/"}}
		}, ""},
		{"a JWT grant", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate = proves
			o.ClientAuth, o.Mint = connectors.ClientAuthKeyJWT, &connectors.Mint{GrantType: "urn:x", AssertionParam: "assertion"}
			o.Assertion = &connectors.Assertion{Claims: map[string]string{"sub": "${config.user}"}, ScopeClaim: "scope"}
		}, ""},
		{"credentials with other parameter names", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ParamNames, o.TokenParams = map[string]string{"client_id": "", "client_secret": "", "grant_type": ""}, map[string]string{"login": "${config.user}"}
		}, ""},
		{"tokens bound to a certificate", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.MTLS = connectors.ClientAuthTLS, true
		}, ""},
		{"tokens bound to a certificate of the config", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Certificate, o.MTLS = "${config.key}", true }, ""},
		{"two certificates", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Certificate = connectors.ClientAuthTLS, "${config.key}"
		}, "auth.oauth2.certificate cannot be used with client_auth tls_client_auth"},
		{"tokens bound to no certificate", func(_ *connectors.Connector, o *connectors.OAuth2) { o.MTLS = true },
			"auth.oauth2.mtls needs a certificate"},
		{"a body in XML", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate = proves
			o.TokenBody, o.TokenRoot, o.TokenParams = connectors.TokenBodyXML, "tsRequest", map[string]string{"@xmlns": "https://x.example/api", "a.site.@url": "${config.user}"}
			o.ParamNames = map[string]string{"client_id": "a.@name", "grant_type": ""}
		}, ""},
		{"a root without a body in XML", func(_ *connectors.Connector, o *connectors.OAuth2) { o.TokenRoot = "r" }, "auth.oauth2.token_root cannot be used unless token_body is xml"},
		{"invalid element names", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenBody, o.TokenRoot, o.TokenParams, o.ParamNames = connectors.TokenBodyXML, "xmlRoot", map[string]string{"@a.b": "1"}, map[string]string{"client_id": "a><b"}
		}, "auth.oauth2.param_names.client_id must be the path of an element or attribute; auth.oauth2.token_params.@a.b must be the path of an element or attribute; auth.oauth2.token_root must be the name of an element"},
		{"invalid element names in an exchange", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.TokenBody = connectors.AuthOAuth2, "https://x.example/authorize", connectors.TokenBodyXML
			o.Exchange = &connectors.Exchange{TokenParam: "token><x", Params: map[string]string{"for api": "1", "a.@b": "1"}}
			o.Renewal = &connectors.Exchange{Method: "GET", TokenParam: "the token"}
			o.Repair = &connectors.Repair{GrantType: "urn:x", AssertionParam: "a b"}
		}, "auth.oauth2.exchange.params.for api must be the path of an element or attribute; auth.oauth2.exchange.token_param must be the path of an element or attribute; " +
			"auth.oauth2.repair.assertion_param must be the path of an element or attribute"},
		{"an invalid element name for a JWT", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenBody, o.Mint = connectors.TokenBodyXML, &connectors.Mint{AssertionParam: "a b"}
		}, "auth.oauth2.mint.assertion_param must be the path of an element or attribute"},
		{"an exchange that omits a parameter of a JSON body", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.TokenBody = connectors.AuthOAuth2, "https://x.example/authorize", connectors.TokenBodyJSON
			o.Exchange = &connectors.Exchange{Omit: []string{"client_secret"}}
		}, "auth.oauth2.exchange.omit makes its request a form, but token_body is json"},
		{"an exchange by GET beside JSON bodies", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.TokenBody = connectors.AuthOAuth2, "https://x.example/authorize", connectors.TokenBodyJSON
			o.Exchange = &connectors.Exchange{Method: "GET", Omit: []string{"client_secret"}}
		}, ""},
		{"a token host from the redirect's query", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.TokenURL = connectors.AuthOAuth2, "https://x.example/authorize", "https://accounts.${config.user}/token"
			o.Metadata = map[string]string{"user": "query.location"}
		}, `auth.oauth2.token_url contains the config field "user", which the redirect's query sets`},
		{"an exchange host from the redirect's query", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.Exchange = connectors.AuthOAuth2, "https://x.example/authorize", &connectors.Exchange{URL: "${config.user}/exchange"}
			o.Metadata = map[string]string{"user": "query.location"}
		}, `auth.oauth2.exchange.url contains the config field "user", which the redirect's query sets`},
		{"a request that changes after it is signed", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL = connectors.AuthOAuth2, "https://x.example/authorize"
			o.Exchange, o.SignToken = &connectors.Exchange{Method: "GET"}, func(*http.Request, []byte, connectors.Secret) error { return nil }
		}, "auth.oauth2.exchange cannot have method GET or omit with SignToken"},
		{"a path from the redirect's query", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.TokenURL = connectors.AuthOAuth2, "https://x.example/authorize", "https://x.example/${config.user}/token"
			o.Metadata = map[string]string{"user": "query.tenant"}
		}, ""},
		{"an enumerated host from the redirect's query", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Config = mustSchema(t, `{"type":"object","properties":{"user":{"enum":["eu","us"]}}}`)
			c.Auth.Kind, o.AuthorizationURL, o.TokenURL = connectors.AuthOAuth2, "https://x.example/authorize", "https://${config.user}.x.example/token"
			o.Metadata = map[string]string{"user": "query.location"}
		}, ""},
		{"a suffix of an enumerated host from the redirect's query", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Config = mustSchema(t, `{"type":"object","properties":{"place":{"enum":["https://x.example"]},"user":{"type":"string"}}}`)
			c.Auth.Kind, o.AuthorizationURL, o.TokenURL = connectors.AuthOAuth2, "https://x.example/authorize", "${config.place}${config.user}/token"
			o.Metadata = map[string]string{"user": "query.location"}
		}, `auth.oauth2.token_url contains the config field "user", which the redirect's query sets`},
		{"an enumerated host in a nested field", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Config = mustSchema(t, `{"type":"object","properties":{"at":{"type":"object","properties":{"region":{"enum":["eu","us"]}}}}}`)
			o.TokenURL = "https://${config.at.region}.x.example/token"
		}, ""},
		{"a token URL that names the tenant", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Mint, o.TokenURL = connectors.ClientAuthKeyJWT, &connectors.Mint{}, "https://x.example/installations/${config.user}/token"
		}, `auth.oauth2.token_url contains the config field "user", which any tenant can set, who would then get another tenant's token by the operator's client: have Validate prove that it is the tenant's, or have the config bring the client (client_id)`},
		{"a token URL that names the tenant, beside a probe", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Health = &connectors.Request{Path: "/me"}
			o.ClientAuth, o.Mint, o.TokenURL = connectors.ClientAuthKeyJWT, &connectors.Mint{}, "https://x.example/installations/${config.user}/token"
		}, `auth.oauth2.token_url contains the config field "user", which any tenant can set`},
		{"a parameter that names the tenant", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenParams = map[string]string{"account_id": "${config.user}"}
		}, `auth.oauth2.token_params.account_id contains the config field "user", which any tenant can set`},
		{"a claim that names the tenant", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Mint, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Mint{}, &connectors.Assertion{Claims: map[string]string{"sub": "${config.user}"}}
		}, `auth.oauth2.assertion.claims.sub contains the config field "user", which any tenant can set`},
		{"a MintToken that gets the config", func(_ *connectors.Connector, o *connectors.OAuth2) { o.MintToken = mint },
			"auth.oauth2.mint_token gets the config, which any tenant can set"},
		{"a MintToken of another program", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Hooks = []string{"mint_token"} },
			"auth.oauth2.mint_token gets the config, which any tenant can set"},
		{"a login beside the operator's certificate", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ParamNames, o.ClientAuth, o.TokenParams = map[string]string{"client_secret": ""}, connectors.ClientAuthTLS, map[string]string{"login": "${config.user}"}
		}, `auth.oauth2.token_params.login contains the config field "user", which any tenant can set`},
		{"a config that Validate proves", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Validate, o.MintToken, o.TokenURL = proves, mint, "https://x.example/${config.user}/token"
		}, ""},
		{"a client of the config", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientID, o.ClientSecret, o.TokenParams = "${config.user}", "${config.key}", map[string]string{"login": "${config.user}"}
		}, ""},
		{"an enumerated host", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Config, o.TokenURL = mustSchema(t, `{"type":"object","properties":{"user":{"enum":["eu","us"]}}}`), "https://${config.user}.x.example/token"
		}, ""},
		{"a client's key that is not marked secret", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientID, o.ClientSecret, o.Certificate = "${config.user}", "${config.user}", "${config.user}${config.key}"
		}, `auth.oauth2.certificate names the config field "user", which is not marked secret; auth.oauth2.client_secret names the config field "user", which is not marked secret`},
		{"an assertion that is not used", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Assertion = &connectors.Assertion{} },
			"auth.oauth2.assertion is not used"},
		{"a MAC algorithm for a private key", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Assertion{Algorithm: "HS256"}
		}, `auth.oauth2.assertion.algorithm must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, got "HS256"`},
		{"no MAC algorithm for a secret", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Assertion = connectors.ClientAuthSecretJWT, &connectors.Assertion{Algorithm: "none"}
		}, `auth.oauth2.assertion.algorithm must be one of HS256, HS384, HS512, got "none"`},
		{"a claim that the flow sets", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Assertion{Claims: map[string]string{"exp": "1"}}
		}, "auth.oauth2.assertion.claims.exp is set by the flow itself"},
		{"a claim from an unknown field", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.ClientAuth, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Assertion{Claims: map[string]string{"sub": "${config.usr}"}}
		}, `auth.oauth2.assertion.claims.sub names the config field "usr", which does not exist`},
		{"a parameter from an unknown field", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenParams = map[string]string{"login": "${config.usr}"}
		}, `auth.oauth2.token_params.login names the config field "usr", which does not exist`},
		{"a reserved parameter", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.TokenParams = map[string]string{"client_assertion": "x"}
		}, "auth.oauth2.token_params.client_assertion is set by the flow itself"},
		{"a JWT as grant_type", func(_ *connectors.Connector, o *connectors.OAuth2) {
			o.Mint = &connectors.Mint{AssertionParam: "grant_type"}
		}, "auth.oauth2.mint.assertion_param is set by the flow itself"},
		{"both mint and MintToken", func(_ *connectors.Connector, o *connectors.OAuth2) { o.Mint, o.MintToken = &connectors.Mint{}, mint },
			"auth.oauth2.mint cannot be combined with the function MintToken"},
		{"MintToken with a user", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.MintToken = connectors.AuthOAuth2, "https://x.example/authorize", mint
		}, "auth.oauth2.mint cannot be used with the kind oauth2"},
		{"no grant_type with a user", func(c *connectors.Connector, o *connectors.OAuth2) {
			c.Auth.Kind, o.AuthorizationURL, o.ParamNames = connectors.AuthOAuth2, "https://x.example/authorize", map[string]string{"grant_type": ""}
		}, "auth.oauth2.param_names.grant_type cannot be left out"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := connectors.NewRegistry().Register(service(tc.alter))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Register = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDefinitionOfAConnectorWithoutAUser(t *testing.T) {
	t.Parallel()
	c := registered(t, service(func(c *connectors.Connector, o *connectors.OAuth2) {
		c.Validate = proves
		o.ClientAuth, o.Certificate, o.MTLS = connectors.ClientAuthKeyJWT, "${config.key}", true
		o.Mint = &connectors.Mint{GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", AssertionParam: "assertion"}
		o.Assertion = &connectors.Assertion{Algorithm: "ES256", Claims: map[string]string{"sub": "${config.user}"}, ScopeClaim: "scope"}
		o.TokenBody, o.TokenRoot, o.TokenParams = connectors.TokenBodyXML, "login", map[string]string{"user.@name": "${config.user}"}
		o.ParamNames = map[string]string{"client_secret": "", "client_id": "user.key"}
	}))
	golden.JSON(t, "definitions/service.json", c)
	back, err := connectors.ParseDefinition(mustDefine(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back, cmpopts.IgnoreUnexported(connectors.Connector{}), cmpopts.IgnoreFields(connectors.Connector{}, "Validate")); diff != "" {
		t.Errorf("ParseDefinition (-want +got):\n%s", diff)
	}
	if !back.Auth.OAuth2.NeedsConfig() {
		t.Error("the definition does not say that tokens need the config")
	}
}

// A value that is sent in a header must have no line breaks.
func TestAPrivateKeyOfTheConfigMayHaveLineBreaks(t *testing.T) {
	t.Parallel()
	config := []byte(`{"user":"una","key":"-----BEGIN\nkey\n"}`)
	c := service(func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.ClientID, o.ClientSecret, o.ClientAuth = "${config.user}", "${config.key}", connectors.ClientAuthKeyJWT
	})
	if client, err := c.ConfigClient(config); err != nil || client.Secret.Reveal() != "-----BEGIN\nkey\n" {
		t.Errorf("ConfigClient: %v, want the key as it is", err)
	}
	c.Auth.OAuth2.ClientAuth = connectors.ClientAuthBasic
	if _, err := c.ConfigClient(config); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) {
		t.Errorf("ConfigClient = %v, want CONNECTOR_CONFIG_INVALID for a secret with lines", err)
	}
}

func TestAnInvalidTemplateIsNamed(t *testing.T) {
	t.Parallel()
	c := service(func(_ *connectors.Connector, o *connectors.OAuth2) {
		o.ClientID, o.ClientSecret, o.Certificate = "id", "${key}", "${key}"
	})
	_, ofCertificate := c.ClientCertificate(nil)
	_, ofSecret := c.ConfigClient(nil)
	for what, err := range map[string]error{"certificate": ofCertificate, "client secret": ofSecret} {
		e := connectors.AsError(err)
		if e == nil || len(e.Errors) != 1 || !strings.HasPrefix(e.Errors[0].Message, "the template of the "+what+" may contain") {
			t.Errorf("got %+v, want that the template of the %s cannot be read", e, what)
		}
	}
}
