package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// resolver finds the connector, the action and the connection of a request.
type resolver struct {
	served      served
	scopes      connection.Scopes
	connections *records.Connections
}

// resolve sets them in the task. Every error has a code.
func (r *resolver) resolve(ctx context.Context, t *task) error {
	request := t.request
	var ok bool
	if t.connector, ok = r.served.get(request.Connector); !ok {
		return notRegistered(request.Connector)
	}
	if t.action, ok = t.connector.Action(request.Action); !ok && !t.connector.Declarative() {
		return noAction(request) // otherwise the connection's version may have it
	}
	if request.Tenant == connection.DefaultConfigTenant {
		if t.connector.DefaultConfig == nil {
			return connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", request.Connector)
		}
		return r.action(t, t.connector)
	}
	if err := r.scopes.Check(request.Tenant); err != nil {
		return err
	}
	found, err := r.connections.Get(ctx, t.ref())
	if err != nil {
		return err
	}
	t.connection = found
	if err := r.action(t, r.served.version(t.connector, found.ConnectorVersion)); err != nil {
		return err
	}
	return found.Usable()
}

// action sets the connector in the version to use, and its action.
func (r *resolver) action(t *task, c *connectors.Connector) error {
	action, ok := c.Action(t.request.Action)
	if !ok {
		return noAction(t.request)
	}
	t.connector, t.action = c, action
	return nil
}

func noAction(request events.Action) error {
	return connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", request.Connector, request.Action)
}

func notRegistered(connector string) error {
	return connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", connector)
}
