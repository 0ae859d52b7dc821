package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// raceWait is between two tries of a write that lost a race or found no store.
const raceWait = 50 * time.Millisecond

// Connect connects by client credentials: the first token proves them.
func (t *Tokens) Connect(ctx context.Context, r connection.Ref, in connection.ConnectInput) (*connection.View, error) {
	def, config, old, err := t.Service.Prepare(ctx, r, in)
	if err != nil {
		return nil, err
	}
	withCode, err := t.connector(def.Key)
	if err != nil {
		return nil, err
	}
	if err := complete(withCode); err != nil {
		return nil, err
	}
	urls, err := def.OAuthEndpoints(config)
	if err != nil {
		return nil, err
	}
	app, err := t.appOf(ctx, def, config, "")
	if err != nil {
		return nil, err
	}
	scopes := def.Auth.OAuth2.Scopes
	if len(app.Scopes) > 0 {
		scopes = app.Scopes
	}
	got, failed := t.endpoint(withCode, urls.Token, app).mint(ctx, scopes)
	if failed != nil {
		return nil, failed.coded()
	}
	g, err := t.storeMinted(ctx, r, def, app, scopes, got)
	if err != nil {
		return nil, err
	}
	v, c, before, err := t.Service.Authorize(ctx, r, connection.AuthorizeInput{Config: config, Tags: in.Tags, Grant: g.Key(), Replace: in.Replace})
	if err != nil {
		if old == nil || old.Grant != g.Key() {
			t.release(ctx, g.Key(), r, config)
		}
		return nil, err
	}
	if before != "" {
		t.release(ctx, before, r, config)
	}
	t.Service.Announce(ctx, events.ConnectorConnected, c, events.Data{})
	return v, nil
}

// storeMinted stores the grant of a client's own token. Each connection has one of
// its own: there is nothing in it that siblings could spoil for each other.
func (t *Tokens) storeMinted(ctx context.Context, r connection.Ref, def *connectors.Connector, app connection.App, scopes []string, got reply) (*connection.Grant, error) {
	key := connection.GrantKey(r.Tenant, def.Key, app.ClientID, "connection "+r.Key())
	for ctx.Err() == nil {
		g, err := t.Grants.Latest(ctx, key)
		if errors.Is(err, connection.ErrNotFound) {
			g, err = t.Grants.New(key), nil
			g.CreatedAt = t.opts.Now().UTC()
		}
		if err != nil {
			return nil, err
		}
		g.Scope, g.Identity, g.Family, g.Connector, g.ClientID = r.Scope, r.Identity, def.Key, def.Key, app.ClientID
		g.ClientCredentials, g.Requested, g.Connections = true, scopes, []string{r.Key()}
		if err := t.apply(g, connection.GrantTokens{}, got, "authorised"); err != nil {
			return nil, err
		}
		if err := t.Schedule(ctx, g); err != nil {
			return nil, storeError(err)
		}
		err = t.Grants.Save(ctx, g)
		if err == nil {
			return g, nil
		}
		if !errors.Is(err, connection.ErrConflict) && !errors.Is(err, connection.ErrExists) {
			return nil, storeError(err)
		}
		pause(ctx, raceWait)
	}
	return nil, ctx.Err()
}

// Resolve returns the runtime of a usable connection, with a fresh token where it
// has a grant.
func (t *Tokens) Resolve(ctx context.Context, r connection.Ref) (*connection.Runtime, error) {
	runtime, err := t.Service.Resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	c, err := t.Service.Latest(ctx, r)
	if err != nil || c.Grant == "" {
		return runtime, err
	}
	def, err := t.connector(r.Connector)
	if err != nil {
		return nil, err
	}
	token, err := t.Fresh(ctx, c.Grant)
	if err != nil {
		return nil, err
	}
	header, prefix := def.Auth.OAuth2.Carrier()
	runtime.Headers[header] = prefix + token.Access.Reveal()
	if !token.ExpiresAt.IsZero() {
		runtime.ExpiresAt = &token.ExpiresAt
	}
	return runtime, nil
}

// Refresh renews the token of a connection now.
func (t *Tokens) Refresh(ctx context.Context, r connection.Ref) (*connection.View, error) {
	c, err := t.Service.Latest(ctx, r)
	if err != nil {
		return nil, err
	}
	if c.Grant == "" {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth", r.Connector)
	}
	if _, err := t.Now(ctx, c.Grant); err != nil {
		return nil, err
	}
	return t.Service.Get(ctx, r)
}
