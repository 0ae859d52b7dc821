package oauth

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Connect connects by client credentials: the first token proves them.
func (t *Tokens) Connect(ctx context.Context, r records.Ref, in connection.ConnectInput) (*connection.View, error) {
	def, config, _, err := t.Service.Prepare(ctx, r, in)
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
	app, err := t.appOf(ctx, def, config)
	if err != nil {
		return nil, err
	}
	scopes := def.Auth.OAuth2.Scopes
	if len(app.Scopes) > 0 {
		scopes = app.Scopes
	}
	got, failed := t.endpoint(withCode, urls.Token, config, app).mint(ctx, scopes)
	if failed != nil {
		return nil, failed.coded()
	}
	// There is a token: what becomes of it no longer hangs on the caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*t.opts.CallTimeout)
	defer cancel()
	// Each connection has a grant of its own: there is nothing in it that siblings
	// could spoil for each other.
	key := records.GrantKey(r.Tenant, def.Key, app.ClientID, "connection "+r.Key())
	hold := records.NewGrantReference(r, t.opts.Now())
	_, err = t.put(ctx, key, hold, t.authorised(got, func(g *records.Grant) {
		g.Scope, g.Identity, g.Family, g.Connector, g.ClientID = r.Scope, r.Identity, def.Key, def.Key, app.ClientID
		g.ClientCredentials, g.Requested = true, scopes
	}))
	if err != nil {
		// Should it be stored after all, its first use is a 401, and it is minted anew.
		t.abandon(ctx, key, withCode, config, app, got)
		return nil, err
	}
	input := connection.AuthorizeInput{Config: config, Tags: in.Tags, Grant: key, GrantReference: hold.ID, Replace: in.Replace}
	v, c, before, err := t.Service.Authorize(ctx, r, input)
	if err != nil {
		t.takeBack(ctx, err, r, input, config)
		return nil, err
	}
	t.release(ctx, before)
	t.Service.Announce(ctx, events.ConnectorConnected, c, events.Data{})
	return v, nil
}

// Resolve returns the runtime of a usable connection, with a fresh token where it
// has a grant.
func (t *Tokens) Resolve(ctx context.Context, r records.Ref) (*connection.Runtime, error) {
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
	header, prefix := def.Auth.OAuth2.AuthorizationHeader()
	runtime.Headers[header] = prefix + token.Access.Reveal()
	if !token.ExpiresAt.IsZero() {
		runtime.ExpiresAt = &token.ExpiresAt
	}
	return runtime, nil
}

// Refresh renews the tokens of a connection now. It fails as the main one does.
func (t *Tokens) Refresh(ctx context.Context, r records.Ref) (*connection.View, error) {
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
	t.renewCompanions(ctx, c)
	return t.Service.Get(ctx, r)
}
