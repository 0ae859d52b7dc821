package executor

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// callBuilder adds to a call what its handler works with: the config in the clear, and
// HTTP clients that carry the connection's credentials.
type callBuilder struct {
	connections *records.Connections
	http        *http.Client  // for its limits; the transport is the target's
	tokens      *token.Source // nil: no OAuth
}

// target is where a call goes.
type target struct {
	connector  *connectors.Connector
	connection *records.Connection // nil: the connector's default config
	config     json.RawMessage     // set by [callBuilder.build] unless it is there
	transport  http.RoundTripper   // below the credentials
}

// build fills a call in. It fails without a token, so that the handler does not begin
// then.
func (b *callBuilder) build(ctx context.Context, call *connectors.Call, to target) error {
	if to.connection != nil {
		call.ConnectionID = to.connection.ID
	}
	if err := b.setConfig(&to); err != nil {
		return err
	}
	call.Config = to.config
	runtime, err := to.connector.Resolve(to.config)
	if err != nil {
		return err
	}
	call.BaseURL, call.RateLimit = runtime.BaseURL, to.connector.RateLimit
	call.Secrets = to.connector.ConfigSecrets(to.config)
	if to.connector.Auth.OAuth2 == nil {
		call.HTTP = b.client(connectors.NewTransport(to.transport, runtime))
		return nil
	}
	if b.tokens == nil || to.connection == nil || to.connection.Grant == "" {
		return connectors.Errorf(connectors.CodeConnectorNotConnected, "%s needs a connection by OAuth", to.connector.Key)
	}
	token, err := b.tokens.Fresh(ctx, to.connection.Grant)
	if err != nil {
		return err
	}
	call.Secrets = append(call.Secrets, token.Access)
	if runtime.NeedsApp() {
		if runtime, err = b.tokens.WithApp(ctx, to.connector, runtime); err != nil {
			return err
		}
		call.Secrets = append(call.Secrets, runtime.Secrets()...)
	}
	call.HTTP = b.client(b.tokens.Transport(to.transport, to.connector, to.connection.Grant, runtime))
	call.Companions = b.companions(to)
	return nil
}

func (b *callBuilder) setConfig(to *target) (err error) {
	switch {
	case to.config != nil:
	case to.connection == nil:
		to.config = to.connector.DefaultConfig
	default:
		to.config, err = b.connections.ConfigInUse(to.connection)
	}
	return err
}

func (b *callBuilder) client(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: b.http.Timeout, CheckRedirect: b.http.CheckRedirect}
}

// companions opens further tokens of the connection when the handler asks for them.
func (b *callBuilder) companions(to target) *connectors.Companions {
	return connectors.NewCompanions(func(ctx context.Context, name string) (*connectors.Access, error) {
		as, ok := to.connector.Companion(name)
		if !ok {
			return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s has no token %.64q", to.connector.Key, name)
		}
		runtime, err := as.Resolve(to.config)
		if err != nil {
			return nil, err
		}
		token, err := b.tokens.Companion(ctx, to.connection, name)
		if err != nil {
			return nil, err
		}
		transport := b.tokens.Transport(to.transport, as, to.connection.Companions[name], runtime)
		return &connectors.Access{BaseURL: runtime.BaseURL, HTTP: b.client(transport), Secrets: []connectors.Secret{token.Access}}, nil
	})
}
