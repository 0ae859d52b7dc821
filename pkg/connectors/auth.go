package connectors

// AuthKind says how requests to a provider are authenticated.
type AuthKind string

// The kinds. "" is the same as none.
const (
	AuthNone              AuthKind = "none"
	AuthAPIKey            AuthKind = "api_key"            // one key of the config, in a header or the query
	AuthBasic             AuthKind = "basic"              // user and password of the config
	AuthMapped            AuthKind = "mapped"             // several fields of the config, shaped by templates
	AuthOAuth2            AuthKind = "oauth2"             // authorization code, with PKCE
	AuthClientCredentials AuthKind = "client_credentials" // OAuth 2.0 without a user
)

// Auth is how a connector authenticates, as data. Values are templates: text in
// which ${config.<dotted path>} stands for a field of the connection's config, e.g.
// "Bearer ${config.apiKey}". There is no other syntax; any other "${" is a mistake.
type Auth struct {
	Kind AuthKind `json:"kind,omitempty" yaml:"kind,omitempty"`
	// Headers and Query are added to every request: name → template. One whose
	// template names a field that is absent, null or "" is left out.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty" yaml:"query,omitempty"`
	// Username and Password are the templates of kind basic.
	Username string `json:"username,omitempty" yaml:"username,omitempty"`
	Password string `json:"password,omitempty" yaml:"password,omitempty"`
	// OAuth2 is needed by the kinds oauth2 and client_credentials.
	OAuth2 *OAuth2 `json:"oauth2,omitempty" yaml:"oauth2,omitempty"`
}

// OAuth2 describes a provider's authorization server. URLs are templates like
// those of [Auth]. The operator's client id and secret are not part of it.
type OAuth2 struct {
	AuthorizationURL string `json:"authorization_url,omitempty" yaml:"authorization_url,omitempty"`
	TokenURL         string `json:"token_url,omitempty" yaml:"token_url,omitempty"`
	RevocationURL    string `json:"revocation_url,omitempty" yaml:"revocation_url,omitempty"`
	UserInfoURL      string `json:"userinfo_url,omitempty" yaml:"userinfo_url,omitempty"`
	// Issuer, if set, must be the "iss" of the authorization response.
	Issuer         string   `json:"issuer,omitempty" yaml:"issuer,omitempty"`
	Scopes         []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	OptionalScopes []string `json:"optional_scopes,omitempty" yaml:"optional_scopes,omitempty"`
	// ScopeSeparator joins scopes; "" means a space.
	ScopeSeparator string `json:"scope_separator,omitempty" yaml:"scope_separator,omitempty"`
	// ClientAuth is how the client authenticates at the token endpoint; "" means body.
	ClientAuth ClientAuth `json:"client_auth,omitempty" yaml:"client_auth,omitempty"`
	// ExtraParams are added to the authorization URL.
	ExtraParams map[string]string `json:"extra_params,omitempty" yaml:"extra_params,omitempty"`
	// Family names the providers that share grants; "" means the connector alone.
	Family string `json:"family,omitempty" yaml:"family,omitempty"`
	// TokenFields and UserFields say where a reply keeps what: name → dotted path,
	// e.g. "access_token" → "authed_user.access_token". Names that are missing are
	// looked for where the standards put them.
	TokenFields map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	UserFields  map[string]string `json:"user_fields,omitempty" yaml:"user_fields,omitempty"`
}

// ClientAuth is a way for an OAuth client to authenticate at the token endpoint.
type ClientAuth string

// The ways.
const (
	ClientAuthBody  ClientAuth = "body"
	ClientAuthBasic ClientAuth = "basic"
)
