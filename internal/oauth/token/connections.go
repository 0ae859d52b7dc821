package token

import (
	"context"
	"maps"
	"slices"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Connections are the operations on one connection that involve its tokens.
type Connections struct {
	service    *connection.Service
	servers    *endpoint.Servers
	source     *Source
	references *References
	opts       Options
}

// Disconnect removes a connection, and its webhook at the provider while there are credentials
// for that. A grant that no other connection uses is revoked at
// the provider; if that fails it is tried again later, and the connection is removed all
// the same.
func (c *Connections) Disconnect(ctx context.Context, r records.Ref) error {
	removed, err := c.service.Disconnect(ctx, r)
	if err != nil {
		return err
	}
	c.service.Unsubscribe(ctx, removed)
	c.references.Release(ctx, removed)
	return nil
}

// Resolve returns the runtime of a usable connection, with a fresh token where it has a
// grant.
func (c *Connections) Resolve(ctx context.Context, r records.Ref) (*connection.Runtime, error) {
	runtime, err := c.service.Resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	record, err := c.service.Latest(ctx, r)
	if err != nil || record.Grant == "" {
		return runtime, err
	}
	token, err := c.source.Fresh(ctx, record.Grant)
	if err != nil {
		return nil, err
	}
	if err := c.addCredentials(ctx, runtime, record, token); err != nil {
		return nil, err
	}
	if !token.ExpiresAt.IsZero() {
		runtime.ExpiresAt = &token.ExpiresAt
	}
	return runtime, nil
}

// addCredentials adds to a runtime what the grant's owner adds to requests.
func (c *Connections) addCredentials(ctx context.Context, runtime *connection.Runtime, record *records.Connection, token Token) error {
	def, err := c.servers.Connector(record.Connector)
	if err != nil {
		return err
	}
	config, err := c.service.ConfigOf(record)
	if err != nil {
		return err
	}
	resolved, err := def.Resolve(config)
	if err == nil {
		resolved, err = c.source.WithApp(ctx, def, resolved)
	}
	if err != nil {
		return err
	}
	resolved = withToken(def, resolved, token)
	for name, value := range resolved.Headers {
		runtime.Headers[name] = value.Reveal()
	}
	for name, value := range resolved.Query {
		runtime.Query[name] = value.Reveal()
	}
	return nil
}

// Refresh renews the tokens of a connection now. A failure to renew a companion's token
// is logged, not returned.
func (c *Connections) Refresh(ctx context.Context, r records.Ref) (*connection.View, error) {
	record, err := c.service.Latest(ctx, r)
	if err != nil {
		return nil, err
	}
	if record.Grant == "" {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth", r.Connector)
	}
	if _, err := c.source.RenewNow(ctx, record.Grant); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(record.Companions)) {
		if _, err := c.source.RenewNow(ctx, record.Companions[name]); err != nil {
			c.opts.Warn(err)
		}
	}
	return c.service.Get(ctx, r)
}
