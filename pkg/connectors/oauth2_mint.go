package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// Mint requests a token from the token URL with a JWT that the client signs, instead of
// its id and secret: with its private key if ClientAuth is private_key_jwt, else with
// its secret. [OAuth2.Assertion] changes the JWT.
//
//	{"grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion_param":"assertion"}   RFC 7523 section 2.1
//	{}                                                  the JWT is the request's bearer token
//
// A provider that issues tokens for a user name and a password needs no Mint: ParamNames
// are its names for client_id, client_secret and grant_type, and TokenParams the others.
//
// Where the client is the operator's, the config values in the request (in TokenURL,
// TokenParams, Claims, or the argument of MintToken) name the tenant whose token is
// requested, and the provider issues the operator every tenant's. Such a connector has to
// have a Validate that proves that the account is the tenant's; a field whose values the
// schema lists (enum) needs no proof.
type Mint struct {
	// GrantType is the parameter grant_type; "" leaves it out.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// AssertionParam is the parameter that carries the JWT; "" means that it is the
	// request's bearer token.
	AssertionParam string `json:"assertion_param,omitempty" yaml:"assertion_param,omitempty"`
}

// MintRequest is the argument of MintToken. It has the config in the clear, and so it
// prints without it.
type MintRequest struct {
	HTTP         *http.Client // with a deadline
	URL          string       // the token URL
	ClientID     string
	ClientSecret Secret
	Scopes       []string
	Config       json.RawMessage `json:"-"`
}

// Format prints the URL, and nothing of the config.
func (m MintRequest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "minting at "+m.URL) }

// mintsByCode reports whether code requests tokens, in this program or in the one that
// published the definition.
func (o *OAuth2) mintsByCode() bool {
	return o.MintToken != nil || slices.Contains(o.Hooks, hookMintToken)
}
