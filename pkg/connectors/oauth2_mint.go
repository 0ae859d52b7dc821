package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mint asks the token URL for a token with a JWT that the client signs, in place of
// its id and secret: with its private key if ClientAuth is private_key_jwt, else with
// its secret. [OAuth2.Assertion] shapes the JWT.
//
//	{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion_param":"assertion"}   RFC 7523 section 2.1
//	{}                                                  the JWT is the request's bearer token
//
// A provider that gives a token for a user name and a password needs no Mint: its names
// for client_id, client_secret and grant_type are ParamNames, what else it wants are
// TokenParams.
type Mint struct {
	// GrantType "" leaves the parameter out.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// AssertionParam is the parameter that carries the JWT; "" means that it is the
	// request's bearer token.
	AssertionParam string `json:"assertion_param,omitempty" yaml:"assertion_param,omitempty"`
}

// Minting is what MintToken has to work with. It holds the config in the clear, and so
// prints without it.
type Minting struct {
	HTTP         *http.Client // with a deadline
	URL          string       // the token URL
	ClientID     string
	ClientSecret Secret
	Scopes       []string
	Config       json.RawMessage `json:"-"`
}

// Format prints where it is asked, and nothing of the config.
func (m Minting) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "minting at "+m.URL) }

// TokenRequest is what requests to the token endpoint hold besides the parameters of
// the flow, filled in from a config.
type TokenRequest struct {
	Params map[string]Secret // TokenParams
	Claims map[string]Secret // of Assertion
}

// TokenRequest fills the templates of token requests in. CONNECTOR_CONFIG_INVALID if
// the config cannot.
func (c *Connector) TokenRequest(config []byte) (TokenRequest, error) {
	o := c.Auth.OAuth2
	doc, bad := parseDocument(string(orEmptyObject(config)))
	if bad != nil {
		return TokenRequest{}, c.unresolved(bad.field())
	}
	var r TokenRequest
	var wrong *FieldError
	if r.Params, wrong = expandAll(o.TokenParams, &doc); wrong != nil {
		return TokenRequest{}, c.unresolved(*wrong)
	}
	if o.Assertion != nil {
		if r.Claims, wrong = expandAll(o.Assertion.Claims, &doc); wrong != nil {
			return TokenRequest{}, c.unresolved(*wrong)
		}
	}
	return r, nil
}

// requestUsesConfig reports whether token requests hold something of the config.
func (o *OAuth2) requestUsesConfig() bool {
	templates := slices.Collect(maps.Values(o.TokenParams))
	if o.Assertion != nil {
		templates = slices.AppendSeq(templates, maps.Values(o.Assertion.Claims))
	}
	return o.MintToken != nil || slices.Contains(o.Hooks, hookMintToken) ||
		slices.ContainsFunc(templates, func(t string) bool { return strings.Contains(t, fieldMark) })
}

// oauthMint checks how tokens without a user are had.
func (in *inspection) oauthMint(o *OAuth2) {
	if o.Mint == nil && o.MintToken == nil {
		return
	}
	if in.connector.Auth.Kind != AuthClientCredentials {
		in.bad("auth.oauth2.mint", "is there, but the kind is %s", in.connector.Auth.Kind)
	}
	if o.Mint != nil && o.MintToken != nil {
		in.bad("auth.oauth2.mint", "is there, but tokens are had by code")
	}
	if o.Mint != nil && o.Mint.AssertionParam != "" && slices.Contains(reservedParams, o.Mint.AssertionParam) {
		in.bad("auth.oauth2.mint.assertion_param", "is set by the flow itself")
	}
}
