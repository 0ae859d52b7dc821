// Package connectors is what the author of a connector uses: a [Connector] is a struct of
// data and a few functions. It has a config schema, an [Auth], [Action] values and a
// [Webhook]. [NewAction] makes an action from a Go function. A [Registry] checks the
// connectors at start-up. Failures have a [Code].
package connectors

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Secret is a config field that is stored sealed and printed nowhere. A struct
// field of this type is marked secret in the schema of [SchemaFor].
type Secret = secret.Text

// Connector is the definition of a provider integration. Everything but the
// functions is data: it is printed as JSON, and [Connector.Definition] and
// [ParseDefinition] carry it to other processes. A connector must not change
// after it was registered; then it is safe for concurrent use.
type Connector struct {
	// Key is the connector's name in subjects, URLs and records:
	// [a-z][a-z0-9-]*, at most 64 bytes.
	Key string
	// Version is a semantic version; "" means "1.0.0". A connection
	// stores the version that it was made with.
	Version  string
	Metadata Metadata
	// Config is the schema of a connection's config, an object. Required.
	Config *schema.Schema
	// DefaultConfig is used by actions that run without a connection, and is the first
	// config of an OAuth connection that is made without one. Optional; it has to satisfy
	// Config.
	DefaultConfig json.RawMessage
	// BaseURL is a template of the base URL of the provider's API, e.g.
	// "https://${config.region}.example.com/v1". Credentials are sent to its
	// host only.
	BaseURL string
	Auth    Auth
	// RateLimit is how the provider reports that its rate limit is exceeded; nil means by
	// status 429 and Retry-After alone.
	RateLimit *RateLimit
	// Headers are templates that are added to every request that the definition describes.
	Headers map[string]string
	// Errors are read in order for every answer to such a request, after those of the action.
	Errors []ErrorRule
	// Health is a request that succeeds (2xx, no ErrorRule) if the credentials are good. It
	// is the connector's Validate where there is none.
	Health *Request
	// Learn fills fields of the config after connecting.
	Learn        *Learn
	Actions      []Action
	Webhook      *Webhook
	Subscription *Subscription
	// Validate is called on connect, after the config has passed its schema; it
	// may call the provider. Optional.
	Validate func(ctx context.Context, call *Call) error `json:"-"`
	// Context returns, before each action and webhook, the value of Call.Context.
	// Optional.
	Context func(ctx context.Context, call *Call) (any, error) `json:"-"`
	// Registrar calls the provider as Subscription says. Package manifest sets it; nil means
	// that webhooks are not registered.
	Registrar Registrar `json:"-"`

	code      bool // of a parsed definition: the publisher has functions that no definition contains
	validates bool // of a parsed definition: the publisher has a Validate
	probes    bool // Validate is made of Health and Learn
}

// HasValidate reports whether new connections are checked: by code, in this program or in
// the one that published the definition, or by Health and Learn.
func (c *Connector) HasValidate() bool {
	return c.ProvesOwner() || c.Health != nil || c.Learn != nil
}

// ProvesOwner reports whether Validate is code, here or in the program that published the
// definition: it can refuse a config that is another tenant's. Health only shows that the
// credentials are good.
func (c *Connector) ProvesOwner() bool {
	return c.validates || c.Validate != nil && !c.probes
}

// UseProbe makes the compiled Health and Learn the connector's Validate, unless that is code.
func UseProbe(c *Connector, probe func(ctx context.Context, call *Call) error) {
	if c.Validate == nil {
		c.Validate, c.probes = probe, true
	}
}

// Declarative reports whether the definition alone is enough to run the connector: its
// actions are requests, and it has no other code.
func (c *Connector) Declarative() bool {
	return !c.ProvesOwner() && !hasCode(c) && !slices.ContainsFunc(c.Actions, func(a Action) bool { return a.Request == nil && !a.Generic })
}

// hasCode reports whether the connector has functions besides Validate and the handlers of
// actions, here or in the program that published the definition.
func hasCode(c *Connector) bool {
	hook := c.Webhook != nil && (c.Webhook.Handler != nil || c.Webhook.Hook != nil)
	return c.code || hook || c.Context != nil || c.Auth.OAuth2 != nil && len(c.Auth.OAuth2.hooks())+len(c.Auth.OAuth2.Hooks) > 0
}

// AccountFromProvider reports whether Webhook.AccountField is set to a value of the
// provider: by a user's authorisation, or by Learn. The callback's query is not one: browsers
// can change it.
func (c *Connector) AccountFromProvider() bool {
	if c.Webhook == nil || c.Webhook.AccountField == "" {
		return false
	}
	if c.Learn != nil && c.Learn.Config[c.Webhook.AccountField] != "" {
		return true
	}
	if c.Auth.Kind != AuthOAuth2 || c.Auth.OAuth2 == nil {
		return false
	}
	from, _, _ := strings.Cut(c.Auth.OAuth2.Metadata[c.Webhook.AccountField], ".")
	return from == "token" || from == "user" || from == "resource"
}

// Metadata describes a connector to people.
type Metadata struct {
	Name        string   `json:"name,omitempty" yaml:"name,omitempty"`
	Description string   `json:"description,omitempty" yaml:"description,omitempty"`
	Icon        string   `json:"icon,omitempty" yaml:"icon,omitempty"` // URL
	Categories  []string `json:"categories,omitempty" yaml:"categories,omitempty"`
	DocsURL     string   `json:"docs_url,omitempty" yaml:"docs_url,omitempty"`
	// Setup are the steps by which an operator or a tenant prepares the connection at the
	// provider, in order. "{callback_url}" and "{webhook_url}" stand for the URLs.
	Setup []string `json:"setup,omitempty" yaml:"setup,omitempty"`
	// Scopes explains what a scope allows: scope → explanation.
	Scopes map[string]string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	// Sources are the pages that the definition was written from.
	Sources []string `json:"sources,omitempty" yaml:"sources,omitempty"`
	// Unverified says which parts were not checked against the provider's own
	// documentation.
	Unverified string `json:"unverified,omitempty" yaml:"unverified,omitempty"`
}

// Action is a typed operation of a connector: JSON in, JSON out. [NewAction] makes one from
// a Go function, [Action.Run] calls it.
type Action struct {
	Key         string // [A-Za-z][A-Za-z0-9_-]*, at most 64 bytes
	Description string
	// Input and Output are checked by [Action.Run]; nil accepts every document.
	Input, Output *schema.Schema
	// Idempotent means that calling twice has the effect of calling once (or that the
	// provider accepts Call.IdempotencyKey). If false, the call is claimed before it
	// runs and is never repeated when its outcome is unknown.
	Idempotent  bool
	Timeout     time.Duration // of one attempt; 0 means 30 s
	MaxAttempts int           // 0 means 5
	// Effect is what the action does at the provider; "" is unknown.
	Effect Effect
	// Scopes are the OAuth scopes that the action needs.
	Scopes []string
	// IdempotencyKey is where Request sends Call.IdempotencyKey. It makes the action
	// idempotent.
	IdempotencyKey *IdempotencyKey
	// Request is what the action sends, where no Go code does: see package manifest.
	Request  *Request
	Paginate *Paginate
	// Generic means that the input is the request: package manifest says how.
	Generic bool
	// Errors are read in order for every answer to Request.
	Errors []ErrorRule
	// OutputProgram is a jq program over {status, headers, body, items} that yields the
	// output. "" is the body, or the items.
	OutputProgram string
	// Handler does the work. It validates nothing and is called by several
	// goroutines at once. Its errors decide about retries: see
	// [Permanent], [RetryAfter], [ProviderError].
	Handler func(ctx context.Context, call *Call, input json.RawMessage) (json.RawMessage, error) `json:"-"`
}

const defaultVersion = "1.0.0"

// The defaults of actions.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxAttempts = 5
)

// Action returns the action with the key.
func (c *Connector) Action(key string) (*Action, bool) {
	for i := range c.Actions {
		if c.Actions[i].Key == key {
			return &c.Actions[i], true
		}
	}
	return nil, false
}
