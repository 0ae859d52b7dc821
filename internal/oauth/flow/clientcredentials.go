package flow

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

// ClientCredentials connects by the client credentials grant (RFC 6749 section 4.4).
type ClientCredentials struct{ tokens *token.Service }

// Connect requests a first token, which proves the credentials, and stores the
// connection.
func (c *ClientCredentials) Connect(ctx context.Context, r records.Ref, in connection.ConnectInput) (*connection.View, error) {
	connections, servers := c.tokens.Parts.Connections, c.tokens.Parts.Servers
	prepared, err := connections.Prepare(ctx, r, in)
	if err != nil {
		return nil, err
	}
	def, config := prepared.Connector, prepared.Config
	withCode, err := servers.Connector(def.Key)
	if err != nil {
		return nil, err
	}
	if err := endpoint.RequireCode(withCode); err != nil {
		return nil, err
	}
	server, err := servers.Server(ctx, withCode, config)
	if err != nil {
		return nil, err
	}
	scopes, err := def.ExpandScopes(config, def.Auth.OAuth2.Scopes)
	if err != nil {
		return nil, err
	}
	if len(server.App.Scopes) > 0 {
		scopes = server.App.Scopes
	}
	got, err := c.tokens.Client.ClientCredentials(ctx, server, scopes)
	if err != nil {
		return nil, endpoint.Coded(err)
	}
	// The token is issued: from here on the caller's deadline does not count.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*c.tokens.Options.CallTimeout)
	defer cancel()
	// Each connection has a grant of its own: there is no refresh token whose rotation
	// connections would have to share.
	key := records.GrantKey(r.Tenant, def.Key, server.App.ClientID, "connection "+r.Key())
	reference := records.NewGrantReference(r, c.tokens.Options.Now())
	_, err = c.tokens.Grants.StoreAuthorized(ctx, key, reference, got, func(g *records.Grant) {
		g.Scope, g.Identity, g.Family, g.Connector, g.ClientID = r.Scope, r.Identity, def.Key, def.Key, server.App.ClientID
		g.ClientCredentials, g.Requested = true, scopes
	})
	if err != nil {
		// If the grant is stored after all, its first use gets a 401 and requests a new token.
		c.tokens.Revoker.RevokeUnused(ctx, key, server, got)
		return nil, err
	}
	input := connection.AuthorizeInput{Config: config, Tags: in.Tags, Grant: key, GrantReference: reference.ID, Replace: in.Replace}
	stored, err := connections.Authorize(ctx, r, input)
	if err != nil {
		c.tokens.References.ReleaseUnstored(ctx, err, r, input, config)
		return nil, err
	}
	c.tokens.References.Release(ctx, stored.Replaced)
	connections.Announce(ctx, events.ConnectorConnected, stored.Record, events.Data{})
	return stored.View, nil
}
