package api

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// listEntry is a connector in the list of the catalogue.
type listEntry struct {
	Key         string              `json:"key"`
	Version     string              `json:"version"`
	Type        connectors.AuthKind `json:"type"`
	Metadata    connectors.Metadata `json:"metadata"`
	Connections *int                `json:"connections,omitempty"`
}

// entry is one connector with everything a form or a caller needs.
type entry struct {
	listEntry
	ConfigSchema *schema.Schema `json:"config_schema"`
	Fields       []schema.Field `json:"fields"`
	Auth         authEntry      `json:"auth"`
	Actions      []actionEntry  `json:"actions"`
	Webhook      *webhookEntry  `json:"webhook,omitempty"`
	HasDefault   bool           `json:"has_default_config"`
}

type authEntry struct {
	Kind   connectors.AuthKind `json:"kind"`
	Scopes []string            `json:"scopes,omitempty"`
}

type actionEntry struct {
	Key          string         `json:"key"`
	Description  string         `json:"description,omitempty"`
	InputSchema  *schema.Schema `json:"input_schema,omitempty"`
	OutputSchema *schema.Schema `json:"output_schema,omitempty"`
	Idempotent   bool           `json:"idempotent"`
}

type webhookEntry struct {
	Description string `json:"description,omitempty"`
	SecretField string `json:"secret_field,omitempty"`
	MaxBody     int64  `json:"max_body"`
}

// catalogue is the operations on connectors.
type catalogue struct{ service *connection.Service }

func (c catalogue) list(ctx context.Context, p params) (any, error) {
	if p.Count != "" && p.Count != "connections" {
		return nil, problem.Invalid("count", `can only be "connections"`)
	}
	if err := mayCount(ctx, p.Count); err != nil {
		return nil, err
	}
	page := connection.Page(c.service.Connectors(p.Name), p.Offset, p.Limit)
	list := make([]listEntry, 0, len(page))
	for _, def := range page {
		e := listEntryOf(def)
		if p.Count != "" {
			n, err := c.service.CountByConnector(ctx, def.Key)
			if err != nil {
				return nil, err
			}
			e.Connections = &n
		}
		list = append(list, e)
	}
	return list, nil
}

func (c catalogue) get(ctx context.Context, p params) (any, error) {
	if err := mayCount(ctx, p.Count); err != nil {
		return nil, err
	}
	def, err := c.service.Connector(p.Connector)
	if err != nil {
		return nil, err
	}
	e := entry{
		listEntry: listEntryOf(def), ConfigSchema: def.Config, Fields: def.Config.Fields(),
		Auth: authEntry{Kind: authKind(def)}, Actions: []actionEntry{}, HasDefault: def.DefaultConfig != nil,
	}
	if e.Fields == nil {
		e.Fields = []schema.Field{}
	}
	if def.Auth.OAuth2 != nil {
		e.Auth.Scopes = def.Auth.OAuth2.Scopes
	}
	for _, a := range def.Actions {
		e.Actions = append(e.Actions, actionEntry{a.Key, a.Description, a.Input, a.Output, a.Idempotent})
	}
	if w := def.Webhook; w != nil {
		e.Webhook = &webhookEntry{w.Description, w.SecretField, w.BodyLimit()}
	}
	if p.Count == "connections" {
		n, err := c.service.CountByConnector(ctx, def.Key)
		if err != nil {
			return nil, err
		}
		e.Connections = &n
	}
	return e, nil
}

// mayCount refuses a count of all tenants' connections to a token that is bound to one.
func mayCount(ctx context.Context, count string) error {
	if count != "" && callerOf(ctx).tenant != nil {
		return connectors.Errorf(connectors.CodeForbidden, "count needs a token of the whole installation")
	}
	return nil
}

func listEntryOf(c *connectors.Connector) listEntry {
	return listEntry{Key: c.Key, Version: c.Version, Type: authKind(c), Metadata: c.Metadata}
}

func authKind(c *connectors.Connector) connectors.AuthKind {
	if c.Auth.Kind == "" {
		return connectors.AuthNone
	}
	return c.Auth.Kind
}
