package connectors

import (
	"context"
	"net/http"
	"slices"
	"sync"
)

// Companion is a further token of the same connection: a user's beside the bot's. It
// lives, is renewed and dies by itself: without it the connection goes on, and a
// handler that needs it asks for it by [Call.WithCompanion].
type Companion struct {
	// Exchange has the token for one of the connection's main token, when it is first
	// asked for and whenever it is to be renewed: one for another audience. Without it
	// the reply to the code gives the token.
	Exchange *Exchange `json:"exchange,omitempty" yaml:"exchange,omitempty"`
	// TokenFields says where the reply to the code keeps the token, by the names of
	// OAuth2.TokenFields; none of them is looked for elsewhere, and access_token is
	// required. account is whose token it is, if that is another account than the
	// connection's: connections of different users then have a token each. A reply
	// without the token makes a connection without the companion.
	TokenFields map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	// RefreshFields are the TokenFields of the replies to its own refreshes; none
	// means those of OAuth2.
	RefreshFields map[string]string `json:"refresh_fields,omitempty" yaml:"refresh_fields,omitempty"`
	// RefreshURL and RevocationURL are those of OAuth2 unless they are set.
	RefreshURL    string `json:"refresh_url,omitempty" yaml:"refresh_url,omitempty"`
	RevocationURL string `json:"revocation_url,omitempty" yaml:"revocation_url,omitempty"`
	// Scopes are asked for in the parameter ScopeParam of the authorization request.
	Scopes     []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	ScopeParam string   `json:"scope_param,omitempty" yaml:"scope_param,omitempty"`
	// TokenHeader and TokenPrefix are those of OAuth2 unless one of them is set.
	TokenHeader string `json:"token_header,omitempty" yaml:"token_header,omitempty"`
	TokenPrefix string `json:"token_prefix,omitempty" yaml:"token_prefix,omitempty"`
	// BaseURL is where the token goes, and nowhere else; "" is the connector's.
	BaseURL string `json:"base_url,omitempty" yaml:"base_url,omitempty"`
}

// Companion is the connector as a companion's token knows it: its own scopes, addresses
// and header in their places. false if it has no such companion.
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

// Access is a way to the provider with one of a connection's tokens.
type Access struct {
	BaseURL string       // resolved, without a slash at the end
	HTTP    *http.Client // carries the token, to BaseURL's host only
	Secrets []Secret     // what must not leave in a text
}

// Companions gives a call its companions. Safe for concurrent use.
type Companions struct {
	open func(ctx context.Context, name string) (*Access, error)

	mu    sync.Mutex
	known []Secret // of the companions that were asked for; guarded by mu
}

// NewCompanions returns companions that are had by open. Whoever runs handlers sets
// [Call.Companions] to it; so does a test of a handler.
func NewCompanions(open func(ctx context.Context, name string) (*Access, error)) *Companions {
	return &Companions{open: open}
}

// As returns the call with a companion's token: its HTTP client and base URL are the
// companion's, all else is as it is. Whatever takes a call can be used with either.
//
// The error is CONNECTOR_OAUTH_NOT_CONFIGURED if the connector has no such companion,
// or the call no connection; CONNECTOR_OAUTH_REFRESH_FAILED if the connection has none,
// with the reason "missing", or one that the provider refuses for good: then somebody
// has to connect again; CONNECTOR_OAUTH_TOKEN_FAILED: not now. A handler that can do
// without goes on; one that cannot returns it.
func (c *Call) WithCompanion(ctx context.Context, companion string) (*Call, error) {
	if c.Companions == nil {
		return nil, Errorf(CodeConnectorOAuthNotConfigured, "%s has no token %.64q here", c.Connector, companion)
	}
	access, err := c.Companions.open(ctx, companion)
	if err != nil {
		return nil, err
	}
	c.Companions.learn(access.Secrets)
	other := *c
	other.BaseURL, other.HTTP = access.BaseURL, access.HTTP
	return &other, nil
}

// learn keeps secrets, each once, however often a handler asks.
func (c *Companions) learn(secrets []Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range secrets {
		if !slices.ContainsFunc(c.known, func(known Secret) bool { return known.Reveal() == s.Reveal() }) {
			c.known = append(c.known, s)
		}
	}
}

// secrets are those of the call and of the companions that it was asked for.
func (c *Call) secrets() []Secret {
	if c.Companions == nil {
		return c.Secrets
	}
	c.Companions.mu.Lock()
	defer c.Companions.mu.Unlock()
	return slices.Concat(c.Secrets, c.Companions.known)
}
