package connectors

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// OAuth2 describes a provider's authorization server, as data. URLs are templates
// like those of [Auth]. The operator's client id and secrets are not part of it.
//
// Names of TokenFields (name → dotted path in the reply of the token endpoint):
//
//	access_token refresh_token scope
//	expires_in           when the access token ends, in the form that Expiry says
//	refresh_expires_in   when the refresh token ends, in the same form
//	account              the provider's account, where who-am-I does not tell it
//	error                where an error lies inside a reply with status 200
//
// Instead of a path, "$header.<name>" is a header of the reply, and "$body" all of it.
// Replies can be JSON, a form, or XML: paths then begin in the root element, an attribute
// has an @ before its name, and the text of an element that has attributes is "#text".
//
// Names of UserFields: id, name, email, avatar. Names of ResourceFields: id, name,
// url, and list for where the list lies in the reply ("" is the reply itself).
// Names that are missing are looked for where the standards and common habit put
// them.
//
// Anybody who connects could type a host that the config names. So where the client is
// the operator's (ClientID is "") or its secret everybody's (a ClientSecret without a
// field, one of the connector's DefaultConfig), [Registry.Register] refuses a field in
// the host of a URL to which the secret, or what it signs, is sent: TokenURL, RefreshURL,
// RevocationURL, the URL of an [Exchange] that does not omit it, and those of companions;
// without a user the connector's BaseURL too, which gets the operator's token. It takes
//
//	https://${config.region}.example.com    region with an enum or const in the schema
//	https://${config.site}.example.com      a host that goes on with a domain of two names
//	                                        or more: no value can leave that
//	https://${config.host}                  a client that the config brings, as self-hosted
//	                                        providers need (ClientID and ClientSecret), or
//	                                        one without a secret (a ClientID alone)
//
// What it cannot see is left to the author: that the domain is the provider's, and nobody
// else can have a name in it; what is secret among the constants of TokenParams and of an
// exchange's Params; and where MintToken, RepairToken and SignToken, which are given the
// secret, take it. An app of the operator's that has no secret counts as if it had one.
type OAuth2 struct {
	AuthorizationURL string `json:"authorization_url,omitempty" yaml:"authorization_url,omitempty"`
	TokenURL         string `json:"token_url,omitempty" yaml:"token_url,omitempty"`
	// RefreshURL takes refreshes where that is not TokenURL.
	RefreshURL    string `json:"refresh_url,omitempty" yaml:"refresh_url,omitempty"`
	RevocationURL string `json:"revocation_url,omitempty" yaml:"revocation_url,omitempty"`
	UserInfoURL   string `json:"userinfo_url,omitempty" yaml:"userinfo_url,omitempty"`
	// ResourcesURL lists the sites that a token reaches. Where it is set, a
	// connection belongs to one of them: the only one, or the one that was chosen.
	ResourcesURL string `json:"resources_url,omitempty" yaml:"resources_url,omitempty"`
	// Issuer, if set, must be the "iss" of the authorization response (RFC 9207).
	Issuer         string   `json:"issuer,omitempty" yaml:"issuer,omitempty"`
	Scopes         []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	OptionalScopes []string `json:"optional_scopes,omitempty" yaml:"optional_scopes,omitempty"`
	// ScopeSeparator joins scopes; "" means a space.
	ScopeSeparator string `json:"scope_separator,omitempty" yaml:"scope_separator,omitempty"`
	// ClientAuth is how the client authenticates at the token endpoint and where it
	// revokes; "" means body.
	ClientAuth ClientAuth `json:"client_auth,omitempty" yaml:"client_auth,omitempty"`
	// Assertion shapes the JWT with which the client says who it is, where that is not
	// of the usual form.
	Assertion *Assertion `json:"assertion,omitempty" yaml:"assertion,omitempty"`
	// MTLS is that tokens are bound to the client's certificate (RFC 8705 section 3):
	// it is presented where tokens are asked for, to UserInfoURL and ResourcesURL, and
	// by the connection's calls of BaseURL. It lies in the client secret, beside the key.
	MTLS bool `json:"mtls,omitempty" yaml:"mtls,omitempty"`
	// Certificate is the template of one that every tenant brings, with its key, in PEM or
	// as a JWK with x5c: it is presented where tokens are asked for, whatever ClientAuth
	// is, and with MTLS in calls too.
	Certificate string `json:"certificate,omitempty" yaml:"certificate,omitempty"`
	// ClientID and ClientSecret are templates for providers where every tenant
	// brings a client of its own; a ClientID of "" means the operator's app, whatever
	// ClientSecret is.
	ClientID     string `json:"client_id,omitempty" yaml:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty" yaml:"client_secret,omitempty"`
	// ExtraParams are added to the authorization URL, TokenParams to every request to
	// the token endpoint. Neither can take the place of what the flow itself sends.
	// The values of TokenParams are templates; one that lacks its field is left out.
	ExtraParams map[string]string `json:"extra_params,omitempty" yaml:"extra_params,omitempty"`
	TokenParams map[string]string `json:"token_params,omitempty" yaml:"token_params,omitempty"`
	// ParamNames says what the provider calls the parameters of the standard, in the
	// authorization request, its answer, the exchange and the revocation: client_id →
	// client_key, state → payload. response_type and scope can be "": left out; so can
	// grant_type, client_id and client_secret in the kind client_credentials, for
	// providers that give tokens for something else.
	ParamNames map[string]string `json:"param_names,omitempty" yaml:"param_names,omitempty"`
	// TokenBody is how requests to the token endpoint are written; "" means form.
	TokenBody TokenBody `json:"token_body,omitempty" yaml:"token_body,omitempty"`
	// TokenRoot is the root element of requests in XML; "" means request.
	TokenRoot string `json:"token_root,omitempty" yaml:"token_root,omitempty"`
	// Mint is how the kind client_credentials asks for tokens where that is not by the
	// grant of that name.
	Mint *Mint `json:"mint,omitempty" yaml:"mint,omitempty"`
	// Family names the providers that share grants; "" means the connector alone.
	Family string `json:"family,omitempty" yaml:"family,omitempty"`

	TokenFields    map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	UserFields     map[string]string `json:"user_fields,omitempty" yaml:"user_fields,omitempty"`
	ResourceFields map[string]string `json:"resource_fields,omitempty" yaml:"resource_fields,omitempty"`
	// Expiry is the form of the expiry in token replies; "" finds it out.
	Expiry ExpiryForm `json:"expiry,omitempty" yaml:"expiry,omitempty"`
	// Metadata puts what only the flow can know into the connection's config:
	// config field → "token.<path>", "query.<name>" (of the callback), "user.<name>"
	// or "resource.<name>". What the query says is there before the code is exchanged;
	// where the host of TokenURL, RefreshURL or RevocationURL is made of it, the config's
	// schema must list its values, since a browser could say anything.
	Metadata map[string]string `json:"metadata,omitempty" yaml:"metadata,omitempty"`
	// TokenHeader and TokenPrefix say how requests carry the token; "" means
	// "Authorization" and "Bearer ".
	TokenHeader string `json:"token_header,omitempty" yaml:"token_header,omitempty"`
	TokenPrefix string `json:"token_prefix,omitempty" yaml:"token_prefix,omitempty"`
	// Exchange trades the token that the code gave, at once: for one that lives longer.
	Exchange *Exchange `json:"exchange,omitempty" yaml:"exchange,omitempty"`
	// Renewal renews a token by trading it in while it is good, where the provider
	// gives no refresh tokens.
	Renewal *Exchange `json:"renewal,omitempty" yaml:"renewal,omitempty"`
	// Companions are further tokens that the same authorisation gives, by the names
	// under which handlers ask for them.
	Companions map[string]Companion `json:"companions,omitempty" yaml:"companions,omitempty"`
	// Hooks are the names of the functions below that the connector's code has, for
	// programs that have its definition only. [Connector.Definition] fills it in.
	Hooks []string `json:"hooks,omitempty" yaml:"-"`
	// ParseToken reads replies of the token endpoint that the fields above cannot
	// describe: it returns a reply in the standard form (RFC 6749 section 5). An ingress
	// that does not have the connector's code refuses to begin an authorisation, and a
	// refresher leaves its grants to executors, which have it.
	ParseToken func(status int, header http.Header, body []byte) (json.RawMessage, error) `json:"-" yaml:"-"`
	// Repair is how new tokens are had when a rotation may have been lost: the
	// provider has rotated, and its answer has not arrived. It is used in place of
	// the old refresh token, which a provider that detects reuse would punish.
	Repair *Repair `json:"repair,omitempty" yaml:"repair,omitempty"`
	// RepairToken is a way of repair that Repair cannot describe. It returns a reply
	// in the standard form; nil, nil: there is no repair, the old token is tried.
	RepairToken func(ctx context.Context, lost *LostToken) (json.RawMessage, error) `json:"-" yaml:"-"`
	// MintToken is a way to tokens of the kind client_credentials that Mint cannot
	// describe. It returns a reply in the standard form. Programs that lack the
	// connector's code leave it to those that have it.
	MintToken func(ctx context.Context, m *MintRequest) (json.RawMessage, error) `json:"-" yaml:"-"`
	// SignToken adds to each request to the token endpoint what the provider wants it
	// signed with: headers, or parameters of the URL. body is what the request holds and
	// stays as it is. Programs that lack the connector's code leave tokens to those that
	// have it.
	SignToken func(r *http.Request, body []byte, clientSecret Secret) error `json:"-" yaml:"-"`
}

// Repair asks the refresh URL for new tokens with a JWT that the client signs (with its
// private key if ClientAuth is private_key_jwt, else HS256 with its secret; iss and sub
// are its id, it is good for a minute).
type Repair struct {
	GrantType string `json:"grant_type" yaml:"grant_type"`
	// AssertionParam is the parameter that carries the JWT; "" means that it is the
	// request's bearer token.
	AssertionParam string `json:"assertion_param,omitempty" yaml:"assertion_param,omitempty"`
}

// LostToken is what a repair has to work with.
type LostToken struct {
	HTTP         *http.Client // with a deadline
	URL          string       // of refreshes
	ClientID     string
	ClientSecret Secret
	Refresh      Secret // the old one, spent for all we know
}

// ParamName is what the provider calls a parameter of the standard; "" is that it
// does not want it.
func (o *OAuth2) ParamName(name string) string {
	if own, ok := o.ParamNames[name]; ok {
		return own
	}
	return name
}

// Names of Hooks.
const (
	hookParseToken  = "parse_token"
	hookRepairToken = "repair_token"
	hookMintToken   = "mint_token"
	hookSignToken   = "sign_token"
)

// hooks returns the names of the functions that the connector's code has.
func (o *OAuth2) hooks() (names []string) {
	for _, hook := range []struct {
		present bool
		name    string
	}{
		{o.ParseToken != nil, hookParseToken}, {o.RepairToken != nil, hookRepairToken},
		{o.MintToken != nil, hookMintToken}, {o.SignToken != nil, hookSignToken},
	} {
		if hook.present {
			names = append(names, hook.name)
		}
	}
	return names
}

// lacksHook reports whether a function is named in Hooks and absent: this program has
// the connector's definition only.
func (o *OAuth2) lacksHook(name string) bool {
	return slices.Contains(o.Hooks, name) && !slices.Contains(o.hooks(), name)
}

// TokenHooksPresent reports whether this program has the functions that requesting and
// reading tokens needs: ParseToken, MintToken and SignToken, as far as Hooks names them.
func (o *OAuth2) TokenHooksPresent() bool {
	return !o.lacksHook(hookParseToken) && !o.lacksHook(hookMintToken) && !o.lacksHook(hookSignToken)
}

// RepairHookPresent reports whether this program has RepairToken, if Hooks names it.
func (o *OAuth2) RepairHookPresent() bool { return !o.lacksHook(hookRepairToken) }

// GrantFamily is the name under which the connector's grants are kept.
func (c *Connector) GrantFamily() string {
	if o := c.Auth.OAuth2; o != nil && o.Family != "" {
		return o.Family
	}
	return c.Key
}

// JoinScopes writes scopes as the provider wants them.
func (o *OAuth2) JoinScopes(scopes []string) string {
	separator := o.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	return strings.Join(scopes, separator)
}

// AuthorizationHeader returns the header that carries the token, and what stands before
// the token in it.
func (o *OAuth2) AuthorizationHeader() (header, prefix string) {
	if o.TokenHeader != "" {
		return o.TokenHeader, o.TokenPrefix
	}
	if o.TokenPrefix != "" {
		return "Authorization", o.TokenPrefix
	}
	return "Authorization", "Bearer "
}

// Endpoints are an authorization server's URLs, resolved for one config.
type Endpoints struct {
	Authorization, Token, Refresh, Revocation, UserInfo, Resources, Exchange, Renewal string
}

// OAuthEndpoints fills the templates of the OAuth URLs in. CONNECTOR_CONFIG_INVALID
// if the config cannot, or names a host that the schema does not list, where it lists any.
func (c *Connector) OAuthEndpoints(config []byte) (Endpoints, error) {
	o := c.Auth.OAuth2
	if o == nil {
		return Endpoints{}, Errorf(CodeConnectorOAuthNotConfigured, "%s is not an OAuth connector", c.Key)
	}
	doc, bad := decodeConfig(config)
	if bad != nil {
		return Endpoints{}, c.unresolved(*bad)
	}
	var e Endpoints
	for _, at := range []struct {
		template string
		to       *string
	}{
		{o.AuthorizationURL, &e.Authorization}, {o.TokenURL, &e.Token}, {o.RefreshURL, &e.Refresh},
		{o.RevocationURL, &e.Revocation}, {o.UserInfoURL, &e.UserInfo}, {o.ResourcesURL, &e.Resources},
		{o.Exchange.url(), &e.Exchange}, {o.Renewal.url(), &e.Renewal},
	} {
		if at.template == "" {
			continue
		}
		var wrong *schema.FieldError
		if *at.to, wrong = c.expandSecretURL(at.template, doc); wrong != nil {
			return Endpoints{}, c.unresolved(*wrong)
		}
	}
	for _, at := range []*string{&e.Refresh, &e.Exchange, &e.Renewal} {
		*at = cmp.Or(*at, e.Token)
	}
	return e, nil
}

// QueryFillsConfig reports whether the redirect's query sets fields of the config: that
// has to happen before the code is exchanged, since URLs may contain them.
func (o *OAuth2) QueryFillsConfig() bool { return len(o.queryFields()) > 0 }

// queryFields returns the config's fields that Metadata fills from the redirect's query.
func (o *OAuth2) queryFields() (fields []string) {
	for _, field := range slices.Sorted(maps.Keys(o.Metadata)) {
		if strings.HasPrefix(o.Metadata[field], "query.") {
			fields = append(fields, field)
		}
	}
	return fields
}

// NeedsConfig reports whether reaching the authorization server needs the
// connection's config.
func (o *OAuth2) NeedsConfig() bool {
	all := o.TokenURL + o.RefreshURL + o.RevocationURL + o.UserInfoURL + o.ResourcesURL + o.ClientID + o.ClientSecret + o.Certificate + o.Exchange.url() + o.Renewal.url()
	return strings.Contains(all, fieldMark) || o.requestUsesConfig()
}
