package connectors

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// OAuth2 describes a provider's authorization server, as data. URLs are templates
// like those of [Auth], and are requested as they are written: with a slash at the end, a
// query and, where a page routes by it, a fragment. The operator's client id and secrets are
// not part of it.
//
// Besides ${config.…}, these templates may contain ${app.client_id} and ${app.extra.<name>},
// of the operator's OAuth client: ExtraParams, TokenParams, RefreshParams, TokenHeaders,
// UserInfo, Revocation, and the headers and parameters of [Auth].
//
// Names of TokenFields (name → dotted path in the reply of the token endpoint):
//
//	access_token refresh_token scope
//	expires_in           when the access token expires, in the form that Expiry says
//	refresh_expires_in   when the refresh token expires, in the same form
//	account              the provider's account, where the user info does not have it
//	error                where an error is inside a reply with status 200
//
// Instead of a path, "$header.<name>" is a header of the reply, and "$body" the whole body.
// Replies can be JSON, a form, or XML: paths then begin in the root element, an attribute
// has an @ before its name, and the text of an element that has attributes is "#text".
//
// Names of UserFields: id, name, email, avatar. Names of ResourceFields: id, name,
// url, and list for the place of the list in the reply ("" is the reply itself).
// Fields that are not named are looked for where the standards and common usage have
// them.
//
// A tenant could set a host that the config contains. So where the client is the
// operator's (ClientID is "") or its secret is shared (a ClientSecret without a config
// field, or one in the connector's DefaultConfig), [Registry.Register] refuses a field in
// the host of a URL to which the secret, or what it signs, is sent: TokenURL, RefreshURL,
// RevocationURL, the URL of an [Exchange] that does not omit the secret, and those of
// companions; without a user also the connector's BaseURL, which gets the operator's
// token. It accepts
//
//	https://${config.region}.example.com    region with an enum or const in the schema
//	https://${config.site}.example.com      a host below a domain of at least two names:
//	                                        no value can leave the domain
//	https://${config.host}                  a client that the config brings, as self-hosted
//	                                        providers need (ClientID and ClientSecret), or
//	                                        one without a secret (a ClientID alone)
//
// It cannot check, so the author has to: that the domain is the provider's, and nobody
// else can have a name in it; whether constants of TokenParams and of an exchange's
// Params are secret; and where MintToken, RepairToken and SignToken, which get the
// secret, send it. An app of the operator's without a secret is treated as if it had one.
type OAuth2 struct {
	AuthorizationURL string `json:"authorization_url,omitempty" yaml:"authorization_url,omitempty"`
	TokenURL         string `json:"token_url,omitempty" yaml:"token_url,omitempty"`
	// RefreshURL is the token endpoint of refreshes where that is not TokenURL.
	RefreshURL    string `json:"refresh_url,omitempty" yaml:"refresh_url,omitempty"`
	RevocationURL string `json:"revocation_url,omitempty" yaml:"revocation_url,omitempty"`
	UserInfoURL   string `json:"userinfo_url,omitempty" yaml:"userinfo_url,omitempty"`
	// Revocation is how tokens are revoked where that is not by RFC 7009, and UserInfo how
	// the user is read where that is not by GET with the token in a header.
	Revocation *EndpointRequest `json:"revocation,omitempty" yaml:"revocation,omitempty"`
	UserInfo   *EndpointRequest `json:"userinfo,omitempty" yaml:"userinfo,omitempty"`
	// ResourcesURL lists the sites that a token can access. Where it is set, a
	// connection belongs to one of them: the only one, or the one that was selected.
	ResourcesURL string `json:"resources_url,omitempty" yaml:"resources_url,omitempty"`
	// Issuer, if set, must be the "iss" of the authorization response (RFC 9207).
	Issuer string `json:"issuer,omitempty" yaml:"issuer,omitempty"`
	// PKCE false means that no code challenge is sent (RFC 7636), to a provider that refuses
	// it: then the client needs a secret.
	PKCE *bool `json:"pkce,omitempty" yaml:"pkce,omitempty"`
	// Nonce means that the authorization request has a nonce (OpenID Connect Core 3.1.2.1).
	// It has to be in the id_token of the reply, if there is one.
	Nonce bool `json:"nonce,omitempty" yaml:"nonce,omitempty"`
	// ResponseType is that of the authorization request; "" means code. ResponseMode is
	// query or form_post; "" means query, without the parameter.
	ResponseType string `json:"response_type,omitempty" yaml:"response_type,omitempty"`
	ResponseMode string `json:"response_mode,omitempty" yaml:"response_mode,omitempty"`
	// GrantType is that of the first token request; "" means authorization_code or, in the
	// kind client_credentials, client_credentials.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// Scopes and OptionalScopes are templates of the config's fields that are no secrets.
	Scopes         []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	OptionalScopes []string `json:"optional_scopes,omitempty" yaml:"optional_scopes,omitempty"`
	// ScopeSeparator joins scopes; "" means a space.
	ScopeSeparator string `json:"scope_separator,omitempty" yaml:"scope_separator,omitempty"`
	// ScopeIn lists the token requests that have the parameter scope too: code, refresh.
	ScopeIn []string `json:"scope_in,omitempty" yaml:"scope_in,omitempty"`
	// ClientAuth is how the client authenticates at the token and revocation endpoints;
	// "" means body.
	ClientAuth ClientAuth `json:"client_auth,omitempty" yaml:"client_auth,omitempty"`
	// Assertion changes the JWTs that the client signs.
	Assertion *Assertion `json:"assertion,omitempty" yaml:"assertion,omitempty"`
	// MTLS means that tokens are bound to the client's certificate (RFC 8705 section 3):
	// it is presented to the token endpoint, to UserInfoURL and ResourcesURL, and by the
	// connection's calls of BaseURL. The client secret contains it, beside the key.
	MTLS bool `json:"mtls,omitempty" yaml:"mtls,omitempty"`
	// Certificate is the template of a certificate of each tenant, with its key, in PEM or
	// as a JWK with x5c. It is presented to the token endpoint, whatever ClientAuth is, and
	// with MTLS in calls too.
	Certificate string `json:"certificate,omitempty" yaml:"certificate,omitempty"`
	// ClientID and ClientSecret are templates for providers where every tenant
	// brings its own client; a ClientID of "" means the operator's app, whatever
	// ClientSecret is.
	ClientID     string `json:"client_id,omitempty" yaml:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty" yaml:"client_secret,omitempty"`
	// ExtraParams are added to the authorization URL, TokenParams to every request to
	// the token endpoint, RefreshParams to those by which a token is renewed. None can
	// replace what the flow itself sends. TokenHeaders are headers of all token requests.
	// The values are templates; one whose field is absent is left out. Those of ExtraParams
	// are seen by browsers: they cannot name a secret field.
	ExtraParams   map[string]string `json:"extra_params,omitempty" yaml:"extra_params,omitempty"`
	TokenParams   map[string]string `json:"token_params,omitempty" yaml:"token_params,omitempty"`
	RefreshParams map[string]string `json:"refresh_params,omitempty" yaml:"refresh_params,omitempty"`
	TokenHeaders  map[string]string `json:"token_headers,omitempty" yaml:"token_headers,omitempty"`
	// ParamNames are the provider's names for parameters of the standard, in the
	// authorization request, its response, the token requests and the revocation:
	// client_id → client_key, state → payload. response_type and scope can be "": left
	// out; so can grant_type, client_id and client_secret in the kind client_credentials,
	// for providers whose tokens need other parameters.
	ParamNames map[string]string `json:"param_names,omitempty" yaml:"param_names,omitempty"`
	// TokenBody is how requests to the token endpoint are encoded; "" means form.
	TokenBody TokenBody `json:"token_body,omitempty" yaml:"token_body,omitempty"`
	// TokenRoot is the root element of requests in XML; "" means request.
	TokenRoot string `json:"token_root,omitempty" yaml:"token_root,omitempty"`
	// Mint is how the kind client_credentials requests tokens where that is not by the
	// grant of that name.
	Mint *Mint `json:"mint,omitempty" yaml:"mint,omitempty"`
	// Family names the providers that share grants; "" means the connector alone.
	Family string `json:"family,omitempty" yaml:"family,omitempty"`

	TokenFields    map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	UserFields     map[string]string `json:"user_fields,omitempty" yaml:"user_fields,omitempty"`
	ResourceFields map[string]string `json:"resource_fields,omitempty" yaml:"resource_fields,omitempty"`
	// Expiry is the form of expiry times in token replies; "" detects it.
	Expiry ExpiryForm `json:"expiry,omitempty" yaml:"expiry,omitempty"`
	// Metadata sets fields of the connection's config that only the flow can know:
	// config field → "token.<path>", "query.<name>" (of the callback), "user.<name>"
	// or "resource.<name>". Values of the query are set before the code is exchanged;
	// where the host of TokenURL, RefreshURL or RevocationURL contains one, the config's
	// schema must list its values, since a browser could send any.
	Metadata map[string]string `json:"metadata,omitempty" yaml:"metadata,omitempty"`
	// TokenHeader and TokenPrefix are how requests carry the token; "" means
	// "Authorization" and "Bearer ".
	TokenHeader string `json:"token_header,omitempty" yaml:"token_header,omitempty"`
	TokenPrefix string `json:"token_prefix,omitempty" yaml:"token_prefix,omitempty"`
	// TokenQuery is the parameter of the query that carries the token in place of the header.
	TokenQuery string `json:"token_query,omitempty" yaml:"token_query,omitempty"`
	// ErrorWords are the provider's own words for errors.
	ErrorWords *ErrorWords `json:"error_words,omitempty" yaml:"error_words,omitempty"`
	// Installation is how the tokens of an installed app are requested.
	Installation *Installation `json:"installation,omitempty" yaml:"installation,omitempty"`
	// Exchange replaces the token that the code gave, at once: by a long-lived one.
	Exchange *Exchange `json:"exchange,omitempty" yaml:"exchange,omitempty"`
	// Renewal renews a token by exchanging it before it expires, where the provider
	// has no refresh tokens.
	Renewal *Exchange `json:"renewal,omitempty" yaml:"renewal,omitempty"`
	// Companions are further tokens of the same authorisation, by the names that handlers
	// use in [Call.WithCompanion].
	Companions map[string]Companion `json:"companions,omitempty" yaml:"companions,omitempty"`
	// Hooks are the names of those functions below that the connector's code has, for
	// programs that have its definition only. [Connector.Definition] sets it.
	Hooks []string `json:"hooks,omitempty" yaml:"-"`
	// ParseToken reads replies of the token endpoint that the fields above cannot
	// describe: it returns a reply in the standard form (RFC 6749 section 5). An ingress
	// without the connector's code refuses to begin an authorisation, and a refresher
	// without it does not renew its grants: executors do, which have it.
	ParseToken func(status int, header http.Header, body []byte) (json.RawMessage, error) `json:"-" yaml:"-"`
	// Repair is how new tokens are requested when the reply to a refresh was lost after
	// the provider may have rotated the refresh token. It replaces a second use of the old
	// refresh token, for which a provider with reuse detection would revoke the grant.
	Repair *Repair `json:"repair,omitempty" yaml:"repair,omitempty"`
	// RepairToken is a repair that Repair cannot describe. It returns a reply in the
	// standard form; nil, nil means that there is no repair, and the old token is tried.
	RepairToken func(ctx context.Context, lost *LostToken) (json.RawMessage, error) `json:"-" yaml:"-"`
	// MintToken requests tokens of the kind client_credentials where Mint cannot describe
	// how. It returns a reply in the standard form. Programs without the connector's code
	// do not request them.
	MintToken func(ctx context.Context, m *MintRequest) (json.RawMessage, error) `json:"-" yaml:"-"`
	// SignToken signs each request to the token endpoint: it adds headers, or parameters
	// of the URL. body is the request's body, which it must not change. Programs without
	// the connector's code do not request tokens.
	SignToken func(r *http.Request, body []byte, clientSecret Secret) error `json:"-" yaml:"-"`
}

// Repair requests new tokens from the refresh URL with a JWT that the client signs (with
// its private key if ClientAuth is private_key_jwt, else HS256 with its secret; iss and sub
// are its id; it expires after a minute).
type Repair struct {
	GrantType string `json:"grant_type" yaml:"grant_type"`
	// AssertionParam is the parameter that carries the JWT; "" means that it is the
	// request's bearer token.
	AssertionParam string `json:"assertion_param,omitempty" yaml:"assertion_param,omitempty"`
}

// LostToken is the argument of RepairToken.
type LostToken struct {
	HTTP         *http.Client // with a deadline
	URL          string       // of refreshes
	ClientID     string
	ClientSecret Secret
	Refresh      Secret // the old refresh token, which may have been used
}

// Values of ScopeIn.
const (
	ScopeInCode    = "code"    // the request that exchanges the code
	ScopeInRefresh = "refresh" // those that renew a token
)

const responseModeForm = "form_post"

// SendsChallenge reports whether authorization requests have a code challenge (RFC 7636).
func (o *OAuth2) SendsChallenge() bool { return o.PKCE == nil || *o.PKCE }

// AnswersByForm reports whether the authorization response is a form that the browser posts
// (OAuth 2.0 Form Post Response Mode).
func (o *OAuth2) AnswersByForm() bool { return o.ResponseMode == responseModeForm }

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

// ParamName returns the provider's name for a parameter of the standard; "" means that it
// is not sent.
func (o *OAuth2) ParamName(name string) string {
	if own, ok := o.ParamNames[name]; ok {
		return own
	}
	return name
}

// JoinScopes returns the value of the parameter scope.
func (o *OAuth2) JoinScopes(scopes []string) string {
	separator := o.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	return strings.Join(scopes, separator)
}

// AuthorizationHeader returns the name of the header that carries the token, and the text
// before the token in it.
func (o *OAuth2) AuthorizationHeader() (name, prefix string) {
	if o.TokenHeader != "" {
		return o.TokenHeader, o.TokenPrefix
	}
	if o.TokenPrefix != "" {
		return "Authorization", o.TokenPrefix
	}
	return "Authorization", "Bearer "
}

// QueryFillsConfig reports whether the redirect's query sets fields of the config: that
// has to happen before the code is exchanged, since URLs may contain them.
func (o *OAuth2) QueryFillsConfig() bool { return len(o.queryFields()) > 0 }

// queryFields returns the config's fields that Metadata sets from the redirect's query.
func (o *OAuth2) queryFields() (fields []string) {
	for _, field := range slices.Sorted(maps.Keys(o.Metadata)) {
		if strings.HasPrefix(o.Metadata[field], "query.") {
			fields = append(fields, field)
		}
	}
	return fields
}

// GrantFamily returns the name under which the connector's grants are stored.
func (c *Connector) GrantFamily() string {
	if o := c.Auth.OAuth2; o != nil && o.Family != "" {
		return o.Family
	}
	return c.Key
}

// UsesOAuthClient reports whether the connector needs the operator's OAuth client at the
// provider: for tokens, or to verify webhooks that are signed with the client's secret.
func (c *Connector) UsesOAuthClient() bool {
	return c.Auth.OAuth2 != nil || c.Webhook != nil && c.Webhook.AppSecret == webhooks.AppClientSecret
}
