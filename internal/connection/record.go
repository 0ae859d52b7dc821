package connection

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Buckets, without the installation's prefix.
const (
	bucketConnections = "connections"
	bucketWebhooks    = "webhooks"
	bucketStatus      = "status"
	bucketConnectors  = "connectors"
	bucketClaims      = "claims"
	bucketKeys        = "keys"
	bucketTokens      = "tokens"
	bucketRoutes      = "routes"
)

// BucketDedup has a TTL, which whoever opens it sets: see [DedupHorizon].
const BucketDedup = "dedup"

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

// Key is "<scope>.<identity>.<connector>.<account>", escaped.
func (r Ref) Key() string {
	return r.Tokens() + "." + events.Token(r.Connector) + "." + events.Token(r.Account)
}

// Connection is a record. As it is stored, and as the cache holds it, the fields
// that Sealed lists are envelopes; [Store.Open] gives the config in the clear.
type Connection struct {
	ID               string          `json:"id"`
	Scope            string          `json:"scope"`
	Identity         string          `json:"identity"`
	Connector        string          `json:"connector"`
	Account          string          `json:"account"`
	ConnectorVersion string          `json:"connector_version"`
	State            State           `json:"state"`
	Config           json.RawMessage `json:"config"`
	Webhook          *WebhookURL     `json:"webhook,omitempty"`
	// ProviderAccount is the provider's id of the account, by which app-wide
	// webhooks find the connection. It is written with the record's route.
	ProviderAccount string            `json:"provider_account,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Grant           string            `json:"grant,omitempty"`
	CreatedAt       time.Time         `json:"created_at"`
	UpdatedAt       time.Time         `json:"updated_at"`
	// Sealed are the JSON pointers whose values are envelopes. The record itself
	// says so, since a newer version of the connector may mark other fields.
	Sealed []string `json:"sealed"`

	revision uint64
}

// WebhookURL is the address at which a provider reaches a connection.
type WebhookURL struct {
	// Secret is the last segment of the URL, an envelope.
	Secret string `json:"secret"`
	// Hash is its SHA-256 in hex, by which deliveries are matched.
	Hash     string       `json:"hash"`
	Previous *PreviousURL `json:"previous,omitempty"`
}

// PreviousURL is honoured until its time, so that a provider can be told the new.
type PreviousURL struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

// Ref names the connection.
func (c *Connection) Ref() Ref {
	return NewRef(events.Tenant{Scope: c.Scope, Identity: c.Identity}, c.Connector, c.Account)
}

// About is what events about the connection are about.
func (c *Connection) About() events.About {
	return events.About{Tenant: c.Ref().Tenant, Connector: c.Connector, Account: c.Account, ConnectionID: c.ID}
}

// Enabled reports whether its owner wants it used.
func (c *Connection) Enabled() bool { return c.State != Disabled }

// Usable is nil if actions and webhooks may use the connection, or an error with
// the code that says why not.
func (c *Connection) Usable() error { return c.State.usable(c.Connector) }

const pointerWebhookSecret = "/webhook/secret"

// newWebhookSecret returns 32 hex digits from 128 random bits.
func newWebhookSecret() secret.Text {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return secret.New(hex.EncodeToString(b[:]))
}

// hashWebhookSecret is how a URL's secret is looked up: the index never holds it.
func hashWebhookSecret(s secret.Text) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

func parseRecord(value []byte, revision uint64, key string) (*Connection, error) {
	var c Connection
	if err := json.Unmarshal(value, &c); err != nil {
		return nil, fmt.Errorf("connection record %s is not JSON of the known form", key)
	}
	// The key is the authority on whose record it is.
	if c.Ref().Key() != key {
		return nil, fmt.Errorf("connection record %s says that it belongs elsewhere", key)
	}
	c.revision = revision
	return &c, nil
}
