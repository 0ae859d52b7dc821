package connectors

// AuthKind is how requests to a provider are authenticated.
type AuthKind string

// The kinds. "" is the same as none.
const (
	AuthNone              AuthKind = "none"
	AuthAPIKey            AuthKind = "api_key"            // one key of the config, in a header or the query
	AuthBasic             AuthKind = "basic"              // user and password of the config
	AuthMapped            AuthKind = "mapped"             // several fields of the config, in templates
	AuthOAuth2            AuthKind = "oauth2"             // authorization code, with PKCE
	AuthClientCredentials AuthKind = "client_credentials" // OAuth 2.0 without a user
)

// Auth is how a connector authenticates, as data. Values are templates (package template)
// over the connection's config, e.g. "Bearer ${config.apiKey}".
type Auth struct {
	Kind AuthKind `json:"kind,omitempty" yaml:"kind,omitempty"`
	// Headers and Query are added to every request: name → template. One whose
	// template names a field that is absent, null or "" is left out.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty" yaml:"query,omitempty"`
	// Username and Password are the templates of kind basic.
	Username string `json:"username,omitempty" yaml:"username,omitempty"`
	Password string `json:"password,omitempty" yaml:"password,omitempty"`
	// OAuth2 is required by the kinds oauth2 and client_credentials.
	OAuth2 *OAuth2 `json:"oauth2,omitempty" yaml:"oauth2,omitempty"`
}
