package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
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
//
// Where the client is the operator's, what the request holds of the config (in TokenURL,
// TokenParams, Claims, or MintToken's hands) says whose token is asked for, and the
// provider gives the operator everybody's. Such a connector has to have a Validate, which
// proves that it is the tenant's; a field whose values the schema lists (enum) needs no
// proof.
type Mint struct {
	// GrantType "" leaves the parameter out.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// AssertionParam is the parameter that carries the JWT; "" means that it is the
	// request's bearer token.
	AssertionParam string `json:"assertion_param,omitempty" yaml:"assertion_param,omitempty"`
}

// MintRequest is what MintToken has to work with. It holds the config in the clear, and so
// prints without it.
type MintRequest struct {
	HTTP         *http.Client // with a deadline
	URL          string       // the token URL
	ClientID     string
	ClientSecret Secret
	Scopes       []string
	Config       json.RawMessage `json:"-"`
}

// Format prints where it is asked, and nothing of the config.
func (m MintRequest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "minting at "+m.URL) }

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
	doc, bad := decodeConfig(config)
	if bad != nil {
		return TokenRequest{}, c.unresolved(*bad)
	}
	var r TokenRequest
	var wrong *schema.FieldError
	if r.Params, wrong = expandAll(o.TokenParams, doc); wrong != nil {
		return TokenRequest{}, c.unresolved(*wrong)
	}
	if o.Assertion != nil {
		if r.Claims, wrong = expandAll(o.Assertion.Claims, doc); wrong != nil {
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
	return o.mintsByCode() ||
		slices.ContainsFunc(templates, func(t string) bool { return strings.Contains(t, fieldMark) })
}

// mintsByCode reports whether code asks for tokens, be it here or in the program that
// published the definition.
func (o *OAuth2) mintsByCode() bool {
	return o.MintToken != nil || slices.Contains(o.Hooks, hookMintToken)
}
