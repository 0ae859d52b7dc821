package client

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// AuthorizeOptions are the parts of [Scope.Authorize] that have defaults.
type AuthorizeOptions struct {
	// Config is as in [Scope.Connect]; nil: the connector's default.
	Config any
	// Scopes are asked for in place of the connector's own; of those that it knows.
	Scopes []string
	// ReturnURL is where the browser is sent in the end, with how it went: one that
	// the operator allows. Without it a page says so.
	ReturnURL string
	Tags      map[string]string
	Replace   bool // as in [ConnectOptions]
}

// Authorization is a started authorisation that waits for its user's browser.
type Authorization struct {
	// URL is ours: opened in the browser it binds the authorisation to that browser
	// and leads on to the provider. Whoever opens it first keeps it, so it goes to
	// nobody but the user.
	URL       secret.Text `json:"authorization_url"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Authorize connects by OAuth: it starts an authorisation that the user finishes in
// a browser, which "oauth.completed" and "connector.connected" tell of, or
// "oauth.failed". Errors: those of [Scope.Connect], and
// CONNECTOR_OAUTH_NOT_CONFIGURED where the connector is not of that kind, or has no
// app.
func (s *Scope) Authorize(ctx context.Context, connector string, opts *AuthorizeOptions) (*Authorization, error) {
	request := s.request(connector)
	if opts != nil {
		if err := request.setConfig(opts.Config); err != nil {
			return nil, err
		}
		request.set("scopes", opts.Scopes, len(opts.Scopes) > 0)
		request.set("return_url", opts.ReturnURL, opts.ReturnURL != "")
		request.set("tags", opts.Tags, opts.Tags != nil)
		request.set("replace", opts.Replace, opts.Replace)
	}
	// Asked first, so that nothing is connected by other means in passing.
	kind, err := s.client.Connector(ctx, connector)
	if err != nil {
		return nil, err
	}
	if kind.Auth.Kind != connectors.AuthOAuth2 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by a user's authorisation: use Connect", connector)
	}
	return reply[*Authorization](ctx, s.client, "connections.connect", request)
}

// Refresh renews the token of a connection now, whatever its age. Errors:
// CONNECTOR_NOT_CONNECTED, CONNECTOR_OAUTH_NOT_CONFIGURED,
// CONNECTOR_OAUTH_REFRESH_FAILED if its user has to authorise it again.
func (s *Scope) Refresh(ctx context.Context, connector string) (*Connection, error) {
	return reply[*Connection](ctx, s.client, "connections.refresh", s.request(connector))
}

// Select finishes a connection that is selecting, with one of its Resources.
func (s *Scope) Select(ctx context.Context, connector, resourceID string) (*Connection, error) {
	request := s.request(connector)
	request.set("resource_id", resourceID, true)
	return reply[*Connection](ctx, s.client, "connections.select", request)
}

// SessionOptions narrow a connect session.
type SessionOptions struct {
	Connectors []string // to choose from; none: all
	ReturnURL  string   // as in [AuthorizeOptions]
}

// ConnectSession is a link with which an end user's browser connects one account
// for the tenant, on plain pages. It is short-lived and for one browser.
type ConnectSession struct {
	Token     secret.Text `json:"token"`
	URL       secret.Text `json:"url"` // that of the page; with "/status" at its end, how far it is
	ExpiresAt time.Time   `json:"expires_at"`
}

// ConnectSession makes a connect session for the tenant, and its account.
func (s *Scope) ConnectSession(ctx context.Context, opts *SessionOptions) (*ConnectSession, error) {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity}
	r.set("account", s.account, s.account != "")
	if opts != nil {
		r.set("connectors", opts.Connectors, len(opts.Connectors) > 0)
		r.set("return_url", opts.ReturnURL, opts.ReturnURL != "")
	}
	return reply[*ConnectSession](ctx, s.client, "connect-sessions.create", r)
}
