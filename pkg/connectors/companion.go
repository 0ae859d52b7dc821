package connectors

import (
	"context"
	"net/http"
	"slices"
	"sync"
)

// Companion is a further token of the same connection: a user's beside the bot's. It
// expires, is renewed and is revoked independently: the connection works without it, and a
// handler that needs it calls [Call.WithCompanion].
type Companion struct {
	// Exchange gets the token for the connection's main token, when it is first needed
	// and whenever it has to be renewed: a token for another audience. Without it
	// the reply to the code contains the token.
	Exchange *Exchange `json:"exchange,omitempty" yaml:"exchange,omitempty"`
	// TokenFields are the places of the token in the reply to the code, by the names of
	// OAuth2.TokenFields; there are no default places, and access_token is required.
	// account is the owner of the token, if that is another account than the
	// connection's: connections of different users then have a token each. A reply
	// without the token makes a connection without the companion.
	TokenFields map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	// RefreshFields are the TokenFields of the replies to its own refreshes; none
	// means those of OAuth2.
	RefreshFields map[string]string `json:"refresh_fields,omitempty" yaml:"refresh_fields,omitempty"`
	// RefreshURL and RevocationURL are those of OAuth2 unless they are set.
	RefreshURL    string `json:"refresh_url,omitempty" yaml:"refresh_url,omitempty"`
	RevocationURL string `json:"revocation_url,omitempty" yaml:"revocation_url,omitempty"`
	// Scopes are requested in the parameter ScopeParam of the authorization request.
	Scopes     []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	ScopeParam string   `json:"scope_param,omitempty" yaml:"scope_param,omitempty"`
	// TokenHeader and TokenPrefix are those of OAuth2 unless one of them is set.
	TokenHeader string `json:"token_header,omitempty" yaml:"token_header,omitempty"`
	TokenPrefix string `json:"token_prefix,omitempty" yaml:"token_prefix,omitempty"`
	// BaseURL is where the token is sent, and nowhere else; "" is the connector's.
	BaseURL string `json:"base_url,omitempty" yaml:"base_url,omitempty"`
}

// Companion returns the connector with a companion's scopes, URLs and header in place of
// its own. It is false if there is no such companion.
func (c *Connector) Companion(name string) (*Connector, bool) {
	if c.Auth.OAuth2 == nil {
		return nil, false
	}
	own, ok := c.Auth.OAuth2.Companions[name]
	if !ok {
		return nil, false
	}
	o := *c.Auth.OAuth2
	o.Companions, o.Scopes, o.OptionalScopes, o.Metadata = nil, own.Scopes, nil, nil
	o.UserInfoURL, o.ResourcesURL, o.Exchange, o.Renewal = "", "", nil, own.Exchange
	if own.RefreshFields != nil {
		o.TokenFields = own.RefreshFields
	}
	if own.RefreshURL != "" {
		o.RefreshURL = own.RefreshURL
	}
	if own.RevocationURL != "" {
		o.RevocationURL = own.RevocationURL
	}
	if own.TokenHeader != "" || own.TokenPrefix != "" {
		o.TokenHeader, o.TokenPrefix = own.TokenHeader, own.TokenPrefix
	}
	as := *c
	as.Auth.OAuth2 = &o
	if own.BaseURL != "" {
		as.BaseURL = own.BaseURL
	}
	return &as, true
}

// Access is how a handler calls the provider with one of a connection's tokens.
type Access struct {
	BaseURL string       // resolved, without a slash at the end
	HTTP    *http.Client // adds the token to requests, to BaseURL's host only
	Secrets []Secret     // values that no message may contain
}

// Companions opens the companions of a connection. Safe for concurrent use.
type Companions struct {
	open func(ctx context.Context, name string) (*Access, error)

	mu      sync.Mutex
	secrets []Secret // of the companions that were opened; guarded by mu
}

// NewCompanions returns companions that open opens. Programs that run handlers, and tests
// of handlers, set [Call.Companions] to it.
func NewCompanions(open func(ctx context.Context, name string) (*Access, error)) *Companions {
	return &Companions{open: open}
}

// WithCompanion returns the call with a companion's token: its HTTP client and base URL
// are the companion's, the rest is the same.
//
// The error is CONNECTOR_OAUTH_NOT_CONFIGURED if the connector has no such companion,
// or the call no connection; CONNECTOR_OAUTH_REFRESH_FAILED if the connection has none,
// with the reason "missing", or one that the provider refuses permanently: then somebody
// has to connect again; CONNECTOR_OAUTH_TOKEN_FAILED if a retry may help. A handler that
// needs the companion returns the error.
func (c *Call) WithCompanion(ctx context.Context, name string) (*Call, error) {
	if c.Companions == nil {
		return nil, Errorf(CodeConnectorOAuthNotConfigured, "%s has no companion token %.64q here", c.Connector, name)
	}
	access, err := c.Companions.open(ctx, name)
	if err != nil {
		return nil, err
	}
	c.Companions.addSecrets(access.Secrets)
	other := *c
	other.BaseURL, other.HTTP = access.BaseURL, access.HTTP
	return &other, nil
}

// addSecrets adds secrets, each once, however often a handler opens a companion.
func (c *Companions) addSecrets(secrets []Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		if !slices.ContainsFunc(c.secrets, func(known Secret) bool { return known.Reveal() == s.Reveal() }) {
			c.secrets = append(c.secrets, s)
		}
	}
}

// secrets returns those of the call and of the companions that were opened.
func (c *Call) secrets() []Secret {
	if c.Companions == nil {
		return c.Secrets
	}
	c.Companions.mu.Lock()
	defer c.Companions.mu.Unlock()
	return slices.Concat(c.Secrets, c.Companions.secrets)
}
