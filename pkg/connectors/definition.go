package connectors

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// definitionFormat is the version of the JSON form of a connector.
const definitionFormat = 2

// definition is the JSON form of a connector: all of its data.
type definition struct {
	Format  int    `json:"format,omitempty"`
	Key     string `json:"key" jsonschema:"pattern=^[a-z][a-z0-9-]*$,maxLength=64"`
	Version string `json:"version,omitempty"`
	// Extends is resolved when a file is read: it is never stored.
	Extends       string            `json:"extends,omitempty"`
	Metadata      Metadata          `json:"metadata,omitzero"`
	Config        *schema.Schema    `json:"config,omitempty" jsonschema:"required"`
	DefaultConfig json.RawMessage   `json:"default_config,omitempty"`
	BaseURL       string            `json:"base_url,omitempty"`
	Auth          Auth              `json:"auth,omitzero"`
	RateLimit     *RateLimit        `json:"rate_limit,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	Errors        []ErrorRule       `json:"errors,omitempty"`
	Health        *Request          `json:"health,omitempty"`
	Learn         *Learn            `json:"learn,omitempty"`
	Actions       actionDefinitions `json:"actions,omitempty"`
	Webhook       *Webhook          `json:"webhook,omitempty"`
	Subscription  *Subscription     `json:"subscription,omitempty"`
	// Validates means that the connector's code has a Validate.
	Validates bool `json:"validates,omitempty"`
	// Code means that the connector has other functions.
	Code bool `json:"code,omitempty"`
}

// actionDefinition is the JSON form of an action.
type actionDefinition struct {
	Description    string            `json:"description,omitempty"`
	Effect         Effect            `json:"effect,omitempty" jsonschema:"enum=read,enum=write,enum=destroy"`
	Scopes         []string          `json:"scopes,omitempty"`
	Idempotent     bool              `json:"idempotent,omitempty"`
	IdempotencyKey *IdempotencyKey   `json:"idempotency_key,omitempty"`
	Timeout        webhooks.Duration `json:"timeout,omitempty"`
	MaxAttempts    int               `json:"max_attempts,omitempty"`
	Input          *schema.Schema    `json:"input,omitempty"`
	Request        *Request          `json:"request,omitempty"`
	Generic        bool              `json:"generic,omitempty"`
	Paginate       *Paginate         `json:"paginate,omitempty"`
	Errors         []ErrorRule       `json:"errors,omitempty"`
	Output         string            `json:"output,omitempty"`
	OutputSchema   *schema.Schema    `json:"output_schema,omitempty"`
}

// Definition returns the connector's data as JSON: compact, members in a fixed
// order, those of schemas in the order of their source, so the same connector
// always has the same bytes. Secrets of DefaultConfig are left out, because
// definitions are not sealed.
func (c *Connector) Definition() ([]byte, error) {
	d := definition{
		Format: definitionFormat, Key: c.Key, Version: c.Version, Metadata: c.Metadata,
		Config: c.Config, DefaultConfig: c.publicDefaults(), BaseURL: c.BaseURL, Auth: c.Auth, RateLimit: c.RateLimit,
		Headers: c.Headers, Errors: c.Errors, Health: c.Health, Learn: c.Learn, Webhook: c.Webhook, Subscription: c.Subscription,
		Actions:   actionDefinitions(c.Actions),
		Validates: c.ProvesOwner(), Code: hasCode(c),
	}
	if o := c.Auth.OAuth2; o != nil && o.hooks() != nil {
		named := *o
		named.Hooks = o.hooks()
		d.Auth.OAuth2 = &named
	}
	text, err := marshal(d)
	if err != nil {
		return nil, fmt.Errorf("connector %q: definition: %w", c.Key, err)
	}
	return text, nil
}

// ParseDefinition parses the JSON of [Connector.Definition]: the same connector without
// its code (handlers, hooks) and secret defaults. It is checked like a registered one.
// Unknown members are an error: they could be what makes the connector safe.
func ParseDefinition(doc []byte) (*Connector, error) {
	if _, wrong := schema.Decode(doc); wrong != nil {
		return nil, fmt.Errorf("connector definition: %w", schema.FieldErrors{*wrong})
	}
	dec := strictDecoder(doc)
	var d definition
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("connector definition: %w", err)
	}
	if d.Format != definitionFormat && d.Format != 0 { // a file has none
		return nil, fmt.Errorf("connector definition: format %d is not supported, only %d", d.Format, definitionFormat)
	}
	c := &Connector{
		Key: d.Key, Version: d.Version, Metadata: d.Metadata, Config: d.Config,
		DefaultConfig: d.DefaultConfig, BaseURL: d.BaseURL, Auth: d.Auth, RateLimit: d.RateLimit,
		Headers: d.Headers, Errors: d.Errors, Health: d.Health, Learn: d.Learn, Webhook: d.Webhook, Subscription: d.Subscription,
		Actions: d.Actions, validates: d.Validates, code: d.Code,
	}
	if err := checkDefinition(c, false); err != nil {
		return nil, fmt.Errorf("connector definition: %w", err)
	}
	return c, nil
}

// publicDefaults is DefaultConfig without its secrets.
func (c *Connector) publicDefaults() json.RawMessage {
	if c.DefaultConfig == nil || c.Config == nil {
		return c.DefaultConfig
	}
	return c.Config.WithoutSecrets(c.DefaultConfig)
}

// MarshalJSON writes the definition.
func (c Connector) MarshalJSON() ([]byte, error) { return c.Definition() }

// Format prints the definition, whatever the verb.
func (c Connector) Format(f fmt.State, _ rune) {
	d, err := c.Definition()
	if err != nil {
		d = []byte(err.Error())
	}
	_, _ = f.Write(d)
}

// DefinitionSchema returns the JSON Schema of [Connector.Definition]'s format.
var DefinitionSchema = sync.OnceValue(schema.For[definition])
