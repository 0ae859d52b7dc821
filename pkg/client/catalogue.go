package client

import (
	"context"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Connector is an entry of the catalogue. [Client.Connectors] fills the first
// part, [Client.Connector] all of it.
type Connector struct {
	Key      string              `json:"key"`
	Version  string              `json:"version"`
	Type     connectors.AuthKind `json:"type"`
	Metadata connectors.Metadata `json:"metadata"`
	// Connections is the number of connections of all tenants; nil unless requested.
	Connections *int `json:"connections,omitempty"`

	ConfigSchema     *schema.Schema `json:"config_schema,omitempty"`
	Fields           []schema.Field `json:"fields,omitempty"` // of the form for a config
	Auth             AuthInfo       `json:"auth,omitzero"`
	Actions          []ActionInfo   `json:"actions,omitempty"`
	Webhook          *WebhookInfo   `json:"webhook,omitempty"`
	HasDefaultConfig bool           `json:"has_default_config,omitempty"` // its actions run without a connection, see [Client.Action]
}

// AuthInfo says how a connector authenticates.
type AuthInfo struct {
	Kind   connectors.AuthKind `json:"kind,omitempty"`
	Scopes []string            `json:"scopes,omitempty"`
}

// ActionInfo describes an action.
type ActionInfo struct {
	Key          string         `json:"key"`
	Description  string         `json:"description,omitempty"`
	InputSchema  *schema.Schema `json:"input_schema,omitempty"`
	OutputSchema *schema.Schema `json:"output_schema,omitempty"`
	Idempotent   bool           `json:"idempotent"`
}

// WebhookInfo describes a connector's webhook.
type WebhookInfo struct {
	Description string `json:"description,omitempty"`
	SecretField string `json:"secret_field,omitempty"` // the config field with the signing secret
	MaxBody     int64  `json:"max_body"`               // bytes
}

// CatalogueOptions filter the catalogue.
type CatalogueOptions struct {
	Name             string // key or display name
	Offset           int
	Limit            int  // 0: all
	CountConnections bool // fill Connector.Connections
}

// Connectors returns the connectors that executors have published, sorted by key.
func (c *Client) Connectors(ctx context.Context, opts *CatalogueOptions) ([]*Connector, error) {
	r := request{}
	if opts != nil {
		r.setIf(opts.Name != "", "name", opts.Name)
		r.setIf(opts.Offset != 0, "offset", opts.Offset)
		r.setIf(opts.Limit != 0, "limit", opts.Limit)
		r.setIf(opts.CountConnections, "count", "connections")
	}
	return call[[]*Connector](ctx, c, "connectors.list", r)
}

// Connector returns one connector with its schemas, or CONNECTOR_NOT_FOUND.
func (c *Client) Connector(ctx context.Context, key string) (*Connector, error) {
	return call[*Connector](ctx, c, "connectors.get", request{"connector": key})
}
