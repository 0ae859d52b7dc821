package client

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// AuthorizeOptions are the options of [Scope.Authorize].
type AuthorizeOptions struct {
	// Config is as in [Scope.Connect]; nil: the connector's default.
	Config any
	// Scopes are requested instead of the connector's default scopes.
	Scopes []string
	// ReturnURL is where the browser is redirected with the result. The operator must
	// allow it. Without it a page shows the result.
	ReturnURL string
	Tags      map[string]string
	Replace   bool // as in [ConnectOptions]
}

// Authorization is an authorization that was started and waits for its user's browser.
type Authorization struct {
	// URL is one of Hawser: it binds the authorization to the browser that opens it first,
	// and redirects to the provider. Give it to the user only.
	URL       secret.Text `json:"authorization_url"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Authorize connects by OAuth: it starts an authorization that the user finishes in a
// browser. Then the events "oauth.completed" and "connector.connected" are published, or
// "oauth.failed". Errors: those of [Scope.Connect], and CONNECTOR_OAUTH_NOT_CONFIGURED if
// the connector does not use OAuth or has no app.
func (s *Scope) Authorize(ctx context.Context, connector string, opts *AuthorizeOptions) (*Authorization, error) {
	request := s.request(connector)
	if opts != nil {
		if err := request.setConfig(opts.Config); err != nil {
			return nil, err
		}
		request.setIf(len(opts.Scopes) > 0, "scopes", opts.Scopes)
		request.setIf(opts.ReturnURL != "", "return_url", opts.ReturnURL)
		request.setIf(opts.Tags != nil, "tags", opts.Tags)
		request.setIf(opts.Replace, "replace", opts.Replace)
	}
	// Checked first: connections.connect would connect other connectors.
	kind, err := s.client.Connector(ctx, connector)
	if err != nil {
		return nil, err
	}
	if kind.Auth.Kind != connectors.AuthOAuth2 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth: use Connect", connector)
	}
	return call[*Authorization](ctx, s.client, "connections.connect", request)
}

// Refresh renews the token of a connection now. Errors: CONNECTOR_NOT_CONNECTED,
// CONNECTOR_OAUTH_NOT_CONFIGURED, CONNECTOR_OAUTH_REFRESH_FAILED if its user must authorize
// again.
func (s *Scope) Refresh(ctx context.Context, connector string) (*Connection, error) {
	return call[*Connection](ctx, s.client, "connections.refresh", s.request(connector))
}

// Select completes a connection whose State is selecting, with one of its Resources.
func (s *Scope) Select(ctx context.Context, connector, resourceID string) (*Connection, error) {
	request := s.request(connector)
	request["resource_id"] = resourceID
	return call[*Connection](ctx, s.client, "connections.select", request)
}

// SessionOptions are the options of [Scope.ConnectSession].
type SessionOptions struct {
	Connectors []string // that can be chosen; default: all
	ReturnURL  string   // as in [AuthorizeOptions]
}

// ConnectSession is a link to pages on which an end user connects one account of the
// tenant. It is short-lived, and for one browser.
type ConnectSession struct {
	Token     secret.Text `json:"token"`
	URL       secret.Text `json:"url"` // of the page; with "/status" appended, of its progress
	ExpiresAt time.Time   `json:"expires_at"`
}

// ConnectSession creates a connect session for the tenant and its account.
func (s *Scope) ConnectSession(ctx context.Context, opts *SessionOptions) (*ConnectSession, error) {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity}
	r.setIf(s.account != "", "account", s.account)
	if opts != nil {
		r.setIf(len(opts.Connectors) > 0, "connectors", opts.Connectors)
		r.setIf(opts.ReturnURL != "", "return_url", opts.ReturnURL)
	}
	return call[*ConnectSession](ctx, s.client, "connect-sessions.create", r)
}
