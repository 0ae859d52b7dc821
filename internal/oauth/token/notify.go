package token

import (
	"context"
	"errors"
	"slices"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Notifier publishes the events of grants, and sets the state of their connections.
type Notifier struct {
	connections  *connection.Service
	grants       *records.Grants
	references   *References
	reconnectURL func(*records.Connection) string
	opts         Options
}

// refreshed publishes that a grant has new tokens. scopes are those granted before.
func (n *Notifier) refreshed(ctx context.Context, g *records.Grant, scopes []string) {
	orphans := n.references.each(ctx, g, func(c *records.Connection) {
		if g.Companion == "" && (c.State == records.NeedsReauth || c.Resumes == records.NeedsReauth) {
			n.reactivate(ctx, g, c) // the process that authorised the grant may have ended before it did
		}
		n.connections.Announce(ctx, events.OAuthRefreshed, c, events.Data{Operation: g.Companion, GrantedScopes: g.Granted})
		if !SameScopes(scopes, g.Granted) {
			n.connections.Announce(ctx, events.OAuthScopeChanged, c, events.Data{Operation: g.Companion, GrantedScopes: g.Granted})
		}
	})
	n.references.releaseInBackground(ctx, g.Key(), orphans)
}

// markConnectionsNeedReauth marks the connections of a revoked grant, and publishes each
// mark once. The connections of a companion's grant stay as they are.
func (n *Notifier) markConnectionsNeedReauth(ctx context.Context, g *records.Grant) {
	orphans := n.references.each(ctx, g, func(c *records.Connection) {
		err := n.connections.MarkNeedsReauth(ctx, c.Ref(), g.Key(), func(c *records.Connection) events.Data {
			return events.Data{ErrorCode: string(connectors.CodeConnectorOAuthRefreshFailed), ErrorMessage: errGrantRevoked(g).Message, URL: n.reconnectURL(c)}
		})
		if err != nil && !errors.Is(err, errNotConnected) {
			n.opts.Warn(err)
		}
	})
	n.references.releaseInBackground(ctx, g.Key(), orphans)
}

// companionRevoked publishes, once, that a companion's grant is revoked. The connections
// stay active without it.
func (n *Notifier) companionRevoked(ctx context.Context, g *records.Grant) {
	n.references.each(ctx, g, func(c *records.Connection) {
		n.connections.Announce(ctx, events.OAuthFailed, c, events.Data{
			Operation: "refresh " + g.Companion, ErrorCode: string(connectors.CodeConnectorOAuthRefreshFailed),
			ErrorMessage: errGrantRevoked(g).Message, URL: n.reconnectURL(c),
		})
	})
}

// Reactivate makes the connections of a grant active again after it was revoked.
func (n *Notifier) Reactivate(ctx context.Context, g *records.Grant) {
	n.references.each(ctx, g, func(c *records.Connection) { n.reactivate(ctx, g, c) })
}

func (n *Notifier) reactivate(ctx context.Context, g *records.Grant, c *records.Connection) {
	if err := n.connections.Reactivate(ctx, c.Ref(), g.Key()); err != nil {
		n.opts.Warn(err)
	}
}

// WarnBeforeExpiry publishes, once per refresh token, that a refresh token is about to
// expire.
func (n *Notifier) WarnBeforeExpiry(ctx context.Context, g *records.Grant) error {
	if g.RefreshExpires.IsZero() || g.ExpiryWarned || n.opts.Now().Before(g.RefreshExpires.Add(-warnBefore)) {
		return nil
	}
	g.ExpiryWarned = true
	if err := n.grants.Save(ctx, g); err != nil {
		return err
	}
	n.references.each(ctx, g, func(c *records.Connection) {
		at := g.RefreshExpires
		n.connections.Announce(ctx, events.OAuthExpiring, c, events.Data{Operation: g.Companion, NextAttemptAt: &at, URL: n.reconnectURL(c)})
	})
	return nil
}

// SameScopes reports whether two lists hold the same scopes.
func SameScopes(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
