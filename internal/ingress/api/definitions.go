package api

import (
	"context"
	"errors"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// definitions are the operations on definitions of connectors.
type definitions struct {
	service     *connection.Service
	definitions *records.Definitions
	bases       manifest.Bases
}

// apply stores a definition, a YAML file, as the current one of its connector. Every role
// uses it at once; connections keep the version that they were made with. A definition with
// a mistake is refused as a whole, and so is one of a connector that is code.
func (d definitions) apply(ctx context.Context, p params) (any, error) {
	c, err := manifest.Parse(p.Connector+".yaml", []byte(p.Definition), d.bases)
	if problems, ok := errors.AsType[manifest.Problems](err); ok {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the definition has %d mistakes", len(problems))
		for _, mistake := range problems {
			e.Errors = append(e.Errors, schema.FieldError{Path: mistake.Path, Message: mistake.String()})
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	if c.Key != p.Connector {
		return nil, problem.Invalid("connector", "is not the key of the definition, "+c.Key)
	}
	old, err := d.definitions.Get(c.Key)
	if err == nil && !old.Declarative() {
		return nil, problem.Invalid("connector", "is a connector with code of its own: an executor publishes its definition")
	}
	result := struct {
		Key      string `json:"key"`
		Version  string `json:"version"`
		Replaces string `json:"replaces,omitempty"`
	}{Key: c.Key, Version: c.Version}
	if err == nil {
		result.Replaces = old.Version
	}
	if p.DryRun {
		return result, nil
	}
	return result, d.definitions.Publish(ctx, []*connectors.Connector{c})
}

// remove deletes a definition in all its versions. Requests for the connector are answered
// CONNECTOR_NOT_FOUND from then on; its connections stay until they are disconnected.
func (d definitions) remove(ctx context.Context, p params) (any, error) {
	found, err := d.definitions.Remove(ctx, p.Connector)
	if err == nil && !found {
		return nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", p.Connector)
	}
	return nil, err
}

// migrate moves the connections of a connector to its current version.
func (d definitions) migrate(ctx context.Context, p params) (any, error) {
	return d.service.Migrate(ctx, p.Connector, p.DryRun)
}
