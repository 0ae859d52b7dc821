package token

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// grantServers finds the authorization servers of grants.
type grantServers struct {
	servers     *endpoint.Servers
	connections *connection.Service
	references  *References
}

// server returns the grant's authorization server, with the config of one of its
// connections where the definition uses it.
func (s *grantServers) server(ctx context.Context, g *records.Grant) (endpoint.Server, error) {
	def, err := s.servers.ConnectorOf(g)
	if err != nil {
		return endpoint.Server{}, err
	}
	var config []byte
	if def.Auth.OAuth2.NeedsConfig() {
		if config, err = s.config(ctx, g); err != nil {
			return endpoint.Server{}, err
		}
	}
	server, err := s.servers.Server(ctx, def, config)
	if err != nil || !g.ClientCredentials || def.Auth.OAuth2.Installation == nil {
		return server, err
	}
	installation, err := s.installation(ctx, g)
	if err != nil {
		return endpoint.Server{}, err
	}
	return server.Installation(installation)
}

// installation returns the id of the installation that a grant is of: the grant's account
// or, where the user had to choose it, the site of the connection.
func (s *grantServers) installation(ctx context.Context, g *records.Grant) (string, error) {
	if g.Account != "" {
		return g.Account, nil
	}
	for _, ref := range g.References {
		c, err := s.connections.LatestByKey(ctx, ref.Connection)
		if err == nil && c.HasReference(g, ref) && c.Resource != nil {
			return c.Resource.ID, nil
		}
		if err != nil && !errors.Is(err, errNotConnected) {
			return "", err
		}
	}
	return "", connectors.Errorf(connectors.CodeConnectorOAuthSiteSelectionRequired, "the installation of %s is not chosen yet", g.Connector)
}

// renewalServer returns the grant's authorization server, if this process can renew the
// grant there.
func (s *grantServers) renewalServer(ctx context.Context, g *records.Grant) (endpoint.Server, error) {
	server, err := s.server(ctx, g)
	if err != nil {
		return endpoint.Server{}, err
	}
	if err := endpoint.RequireCode(server.Connector); err != nil {
		return endpoint.Server{}, err
	}
	if !g.ClientCredentials && (byExchange(g) || g.MainGrant != "") && server.Connector.Auth.OAuth2.Renewal == nil {
		return endpoint.Server{}, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "the definition of %s no longer says how its tokens are exchanged", g.Connector)
	}
	return server, nil
}

// config returns the config of one of the grant's connections.
func (s *grantServers) config(ctx context.Context, g *records.Grant) ([]byte, error) {
	var orphans []records.GrantReference
	defer func() { s.references.releaseInBackground(ctx, g.Key(), orphans) }()
	for _, ref := range g.References {
		c, err := s.connections.LatestByKey(ctx, ref.Connection)
		if errors.Is(err, errNotConnected) || err == nil && !c.HasReference(g, ref) {
			orphans = append(orphans, ref) // the connection may have another grant and config now
			continue
		}
		if err != nil {
			return nil, err
		}
		return s.connections.ConfigOf(c)
	}
	return nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "no connection uses the grant any more")
}

// withApp returns a runtime with what the operator's OAuth client is part of.
func (s *grantServers) withApp(ctx context.Context, def *connectors.Connector, runtime connectors.Runtime) (connectors.Runtime, error) {
	if !runtime.NeedsApp() {
		return runtime, nil
	}
	app, _, err := s.servers.Apps.Get(ctx, def)
	if err != nil {
		return connectors.Runtime{}, err
	}
	return runtime.WithApp(connectors.Client{ID: app.ClientID, Extra: app.Extra})
}

// boundCertificate returns the certificate that a grant's tokens are bound to.
func (s *grantServers) boundCertificate(ctx context.Context, g *records.Grant) (*tls.Certificate, error) {
	server, err := s.server(ctx, g)
	if err != nil {
		return nil, err
	}
	certificate := server.BoundCertificate()
	if certificate == nil {
		return nil, endpoint.ErrorNoCertificate().Coded()
	}
	return certificate, nil
}

// errNotConnected is the error of a connection that does not exist.
var errNotConnected = &connectors.Error{Code: connectors.CodeConnectorNotConnected}
