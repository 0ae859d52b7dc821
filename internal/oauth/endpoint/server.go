package endpoint

import (
	"context"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Server is the authorization server of a connector, as one OAuth client uses it.
type Server struct {
	Connector *connectors.Connector
	Config    []byte      // of the connection, where the definition uses it
	App       records.App // the OAuth client
	URLs      connectors.Endpoints
}

// secrets returns the client's secrets in their order. A public client has one that
// is empty.
func (s Server) secrets() []secret.Text {
	if len(s.App.ClientSecrets) == 0 {
		return []secret.Text{{}}
	}
	return s.App.ClientSecrets
}

// client returns the client with one of its secrets, for templates.
func (s Server) client(clientSecret secret.Text) connectors.Client {
	return connectors.Client{ID: s.App.ClientID, Secret: clientSecret, Extra: s.App.Extra}
}

// Installation returns the server as it gives tokens of an installed app.
func (s Server) Installation(installation string) (Server, error) {
	def, ok := s.Connector.Installed(installation)
	if !ok {
		return Server{}, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "the definition of %s has no installation any more", s.Connector.Key)
	}
	urls, err := def.OAuthEndpoints(s.Config)
	if err != nil {
		return Server{}, err
	}
	var id string
	var secrets []secret.Text
	for _, clientSecret := range s.secrets() {
		client, err := s.Connector.InstallationClient(s.client(clientSecret))
		if err != nil {
			return Server{}, err
		}
		id = client.ID
		if !client.Secret.IsZero() && !slices.ContainsFunc(secrets, func(known secret.Text) bool { return known.Reveal() == client.Secret.Reveal() }) {
			secrets = append(secrets, client.Secret)
		}
	}
	s.Connector, s.URLs, s.App.ClientID, s.App.ClientSecrets = def, urls, id, secrets
	return s, nil
}

// Companion returns the server with the endpoints of one of the connector's companions.
func (s Server) Companion(name string) (Server, error) {
	def, ok := s.Connector.Companion(name)
	if !ok {
		return Server{}, noCompanion(s.Connector.Key, name)
	}
	urls, err := def.OAuthEndpoints(s.Config)
	s.Connector, s.URLs = def, urls
	return s, err
}

func noCompanion(connector, name string) error {
	return connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "the definition of %s has no token %q any more", connector, name)
}

// Servers finds the authorization servers of connectors.
type Servers struct {
	Definitions *records.Definitions
	Apps        *records.Apps
	// Registry has the code of connectors that read token responses themselves; nil is
	// none.
	Registry *connectors.Registry
}

// Connector returns an OAuth connector, with its code where this process has it.
func (s *Servers) Connector(key string) (*connectors.Connector, error) {
	if s.Registry != nil {
		if c, ok := s.Registry.Get(key); ok && c.Auth.OAuth2 != nil {
			return c, nil
		}
	}
	c, err := s.Definitions.Get(key)
	if err != nil {
		return nil, err
	}
	if c.Auth.OAuth2 == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not an OAuth connector", key)
	}
	return c, nil
}

// ConnectorOf returns the connector of a grant. That of a companion's grant has the
// companion's scopes and endpoints.
func (s *Servers) ConnectorOf(g *records.Grant) (*connectors.Connector, error) {
	def, err := s.Connector(g.Connector)
	if err != nil || g.Companion == "" {
		return def, err
	}
	companion, ok := def.Companion(g.Companion)
	if !ok {
		return nil, noCompanion(g.Connector, g.Companion)
	}
	return companion, nil
}

// Server returns the authorization server of a connector for a config: with the OAuth
// client of the config, or else the operator's.
func (s *Servers) Server(ctx context.Context, def *connectors.Connector, config []byte) (Server, error) {
	urls, err := def.OAuthEndpoints(config)
	if err != nil {
		return Server{}, err
	}
	out := Server{Connector: def, Config: config, URLs: urls}
	own, err := def.ConfigClient(config)
	if err != nil {
		return Server{}, err
	}
	if own == nil {
		out.App, _, err = s.Apps.Get(ctx, def)
		return out, err
	}
	out.App.ClientID = own.ID
	if !own.Secret.IsZero() {
		out.App.ClientSecrets = []secret.Text{own.Secret}
	}
	return out, nil
}

// otherProcess is after what time a process that has a connector's code may have
// renewed a token.
const otherProcess = time.Minute

// RequireCode refuses a connector whose token responses are read by code that this
// program does not have. It is called before a code or a refresh token is spent.
func RequireCode(def *connectors.Connector) error {
	if def.Auth.OAuth2.TokenHooksPresent() {
		return nil
	}
	return ErrorNoCode(def)
}

// ErrorNoCode is the error of a process that lacks a connector's code.
func ErrorNoCode(def *connectors.Connector) error {
	return &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured, RetryAfter: otherProcess,
		Message: "tokens of " + def.Key + " are read or repaired by its code, which this program does not have: build the program with the connector"}
}
