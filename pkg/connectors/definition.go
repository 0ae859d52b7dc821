package connectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// definitionFormat is the version of the JSON form of a connector.
const definitionFormat = 1

// definition is the JSON form of a connector: all of its data.
type definition struct {
	Format        int                `json:"format"`
	Key           string             `json:"key"`
	Version       string             `json:"version"`
	Metadata      Metadata           `json:"metadata,omitzero"`
	Config        *schema.Schema     `json:"config"`
	DefaultConfig json.RawMessage    `json:"default_config,omitempty"`
	BaseURL       string             `json:"base_url,omitempty"`
	Auth          Auth               `json:"auth,omitzero"`
	RateLimit     *RateLimit         `json:"rate_limit,omitempty"`
	Actions       []actionDefinition `json:"actions,omitempty"`
	Webhook       *Webhook           `json:"webhook,omitempty"`
	// Validates means that the connector's code has a Validate.
	Validates bool `json:"validates,omitempty"`
}

type actionDefinition struct {
	Key         string            `json:"key"`
	Description string            `json:"description,omitempty"`
	Input       *schema.Schema    `json:"input,omitempty"`
	Output      *schema.Schema    `json:"output,omitempty"`
	Idempotent  bool              `json:"idempotent,omitempty"`
	Timeout     webhooks.Duration `json:"timeout,omitempty"`
	MaxAttempts int               `json:"max_attempts,omitempty"`
}

// Definition returns the connector's data as JSON: compact, members in a fixed
// order, those of schemas in the order of their source, so the same connector
// always has the same bytes. Secrets of DefaultConfig are left out, because
// definitions are not sealed.
func (c *Connector) Definition() ([]byte, error) {
	d := definition{
		Format: definitionFormat, Key: c.Key, Version: c.Version, Metadata: c.Metadata,
		Config: c.Config, DefaultConfig: c.publicDefaults(), BaseURL: c.BaseURL, Auth: c.Auth, RateLimit: c.RateLimit, Webhook: c.Webhook,
		Validates: c.HasValidate(),
	}
	if o := c.Auth.OAuth2; o != nil && o.hooks() != nil {
		named := *o
		named.Hooks = o.hooks()
		d.Auth.OAuth2 = &named
	}
	for i := range c.Actions {
		a := &c.Actions[i]
		d.Actions = append(d.Actions, actionDefinition{
			a.Key, a.Description, a.Input, a.Output, a.Idempotent, webhooks.Duration(a.Timeout), a.MaxAttempts,
		})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("connector %q: definition: %w", c.Key, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ParseDefinition parses the JSON of [Connector.Definition]: the same connector without
// its code (handlers, hooks) and secret defaults. It is checked like a registered one.
// Unknown members are an error: they could be what makes the connector safe.
func ParseDefinition(doc []byte) (*Connector, error) {
	if _, wrong := schema.Decode(doc); wrong != nil {
		return nil, fmt.Errorf("connector definition: %w", schema.FieldErrors{*wrong})
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	var d definition
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("connector definition: %w", err)
	}
	if d.Format != definitionFormat {
		return nil, fmt.Errorf("connector definition: format %d is not supported, only %d", d.Format, definitionFormat)
	}
	c := &Connector{
		Key: d.Key, Version: d.Version, Metadata: d.Metadata, Config: d.Config,
		DefaultConfig: d.DefaultConfig, BaseURL: d.BaseURL, Auth: d.Auth, RateLimit: d.RateLimit, Webhook: d.Webhook,
		validates: d.Validates,
	}
	for _, a := range d.Actions {
		c.Actions = append(c.Actions, Action{
			Key: a.Key, Description: a.Description, Input: a.Input, Output: a.Output,
			Idempotent: a.Idempotent, Timeout: time.Duration(a.Timeout), MaxAttempts: a.MaxAttempts,
		})
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
