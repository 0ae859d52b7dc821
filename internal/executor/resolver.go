package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// resolver finds the connector, the action and the connection of a request.
type resolver struct {
	registry    *connectors.Registry
	scopes      connection.Scopes
	connections *records.Connections
}

// resolve sets them in the task. Every error has a code.
func (r *resolver) resolve(ctx context.Context, t *task) error {
	request := t.request
	var ok bool
	if t.connector, ok = r.registry.Get(request.Connector); !ok {
		return notRegistered(request.Connector)
	}
	if t.action, ok = t.connector.Action(request.Action); !ok {
		return connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", request.Connector, request.Action)
	}
	if request.Tenant == connection.DefaultConfigTenant {
		if t.connector.DefaultConfig == nil {
			return connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", request.Connector)
		}
		return nil
	}
	if err := r.scopes.Check(request.Tenant); err != nil {
		return err
	}
	found, err := r.connections.Get(ctx, t.ref())
	if err != nil {
		return err
	}
	t.connection = found
	return found.Usable()
}

func notRegistered(connector string) error {
	return connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", connector)
}
