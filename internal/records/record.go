package records

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// DefaultAccount is the account of a connection that names none.
const DefaultAccount = "default"

// Ref names a connection: one account of a tenant at a connector.
type Ref struct {
	events.Tenant
	Connector string
	Account   string
}

// NewRef returns the reference, with the default account for "".
func NewRef(t events.Tenant, connector, account string) Ref {
	if account == "" {
		account = DefaultAccount
	}
	return Ref{t, connector, account}
}

// ParseKey reverses [Ref.Key].
func ParseKey(key string) (Ref, error) {
	tokens := strings.Split(key, ".")
	if len(tokens) != 4 {
		return Ref{}, fmt.Errorf("%q is not <scope>.<identity>.<connector>.<account>", key)
	}
	for i, token := range tokens {
		var err error
		if tokens[i], err = events.ParseToken(token); err != nil {
			return Ref{}, err
		}
	}
	return Ref{events.Tenant{Scope: tokens[0], Identity: tokens[1]}, tokens[2], tokens[3]}, nil
}

// Key is "<scope>.<identity>.<connector>.<account>", escaped.
func (r Ref) Key() string {
	return events.Token(r.Scope) + "." + events.Token(r.Identity) + "." + events.Token(r.Connector) + "." + events.Token(r.Account)
}

// Connection is a record. As it is stored, and as the cache holds it, the fields
// that Sealed lists are envelopes; [Connections.OpenConfig] gives the config in the clear.
type Connection struct {
	ID               string `json:"id"`
	Scope            string `json:"scope"`
	Identity         string `json:"identity"`
	Connector        string `json:"connector"`
	Account          string `json:"account"`
	ConnectorVersion string `json:"connector_version"`
	State            State  `json:"state"`
	// Resumes is the state that a disabled connection has again when it is
	// enabled, unless that is active. Connections that are not disabled have none.
	Resumes State           `json:"resumes,omitempty"`
	Config  json.RawMessage `json:"config"`
	Webhook *WebhookURL     `json:"webhook,omitempty"`
	// ProviderAccount is the provider's id of the account, by which app-wide
	// webhooks find the connection. It is written with the record's route.
	ProviderAccount string `json:"provider_account,omitempty"`
	// Retired are the webhook secrets that still verify beside the config's, by ids
	// that sort by their time.
	Retired map[string]RetiredSecret `json:"retired_secrets,omitempty"`
	// Captured is the config field with a webhook secret that the provider has handed over and
	// nobody has read; "" if there is none.
	Captured       string            `json:"captured_secret_field,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Grant          string            `json:"grant,omitempty"` // key of the OAuth grant
	GrantReference string            `json:"hold,omitempty"`  // id of its hold on that, and on those:
	// Companions are the keys of the companions' grants, by name.
	Companions map[string]string `json:"companions,omitempty"`
	Resource   *Resource         `json:"resource,omitempty"`
	Resources  []Resource        `json:"resources,omitempty"` // to choose from, while selecting
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
	// Sealed are the JSON pointers whose values are envelopes. They are stored, since a
	// newer version of the connector may mark other fields as secret.
	Sealed []string `json:"sealed"`

	revision   uint64  // 0: not stored yet
	indexed    indexed // of the stored record
	unreadable error
	opened     *opened
}

// indexed are the entries of the indexes that lead to a record.
type indexed struct {
	urls    []string // hashes
	account string   // of the provider
}

func (c *Connection) indexEntries() indexed {
	return indexed{c.Webhook.hashes(), c.ProviderAccount}
}

// NewConnection returns an active connection that is not stored yet.
func NewConnection(r Ref, version string, now time.Time) *Connection {
	now = now.UTC()
	return &Connection{ID: events.NewID(), Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		ConnectorVersion: version, State: Active, CreatedAt: now, UpdatedAt: now}
}

// Replace makes c replace the stored record old: it is written over old's revision, and has old's id,
// creation time, webhook URL and tags. Of an old record that cannot be read nothing but the revision
// is known.
func (c *Connection) Replace(old *Connection) {
	c.revision, c.indexed = old.revision, old.indexed
	if old.unreadable != nil {
		return
	}
	c.ID, c.CreatedAt, c.Webhook, c.Tags = old.ID, old.CreatedAt, old.Webhook, old.Tags
}

// Unreadable returns why the stored record cannot be read, nil if it can. Such a record has
// nothing but what its key says.
func (c *Connection) Unreadable() error { return c.unreadable }

// Resource is a site of a provider's account that a connection belongs to.
type Resource struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Ref names the connection.
func (c *Connection) Ref() Ref {
	return NewRef(events.Tenant{Scope: c.Scope, Identity: c.Identity}, c.Connector, c.Account)
}

// About returns what events about the connection say of it.
func (c *Connection) About() events.EventContext {
	return events.EventContext{Tenant: c.Ref().Tenant, Connector: c.Connector, Account: c.Account, ConnectionID: c.ID}
}

// Enabled reports whether its owner has not disabled it.
func (c *Connection) Enabled() bool { return c.State != Disabled }

// Usable is nil if actions and webhooks may use the connection, or an error with
// the code that says why not.
func (c *Connection) Usable() error {
	if c.State == Selecting {
		return errSelectionRequired(c)
	}
	return c.State.usable(c.Connector)
}

// errSelectionRequired carries the sites: path is the id, message the name.
func errSelectionRequired(c *Connection) error {
	e := connectors.Errorf(connectors.CodeConnectorOAuthSiteSelectionRequired, "the account at %s has several sites; choose one with select", c.Connector)
	for _, r := range c.Resources {
		e.Errors = append(e.Errors, schema.FieldError{Path: r.ID, Message: r.Name})
	}
	return e
}

// parseConnection reads a stored record. Its errors contain nothing of the record's text.
func parseConnection(e kvstore.Entry) (*Connection, error) {
	var c Connection
	if err := json.Unmarshal(e.Value, &c); err != nil {
		return nil, fmt.Errorf("connection record %s is not JSON of the known form", e.Key)
	}
	// The key is the authority on whose record it is.
	if c.Ref().Key() != e.Key {
		return nil, fmt.Errorf("connection record %s belongs to another connection than its key", e.Key)
	}
	c.revision, c.indexed, c.opened = e.Revision, c.indexEntries(), &opened{}
	return &c, nil
}

// unreadableConnection returns what stands for a record that cannot be read: what its key says.
func unreadableConnection(r Ref, revision uint64, err error) *Connection {
	return &Connection{
		Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		Config: json.RawMessage(`{}`), revision: revision, unreadable: err,
	}
}

// ParseSealed reads a sealed record that was sent to be validated.
func ParseSealed(data []byte) (*Connection, error) {
	var c Connection
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the record to validate is malformed")
	}
	return &c, nil
}
