package client

import (
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Connection is a tenant's authorised account at a connector, as Hawser shows it:
// secret fields of the config are masked.
type Connection struct {
	ID               string          `json:"id"`
	Scope            string          `json:"scope"`
	Identity         string          `json:"identity"`
	Connector        string          `json:"connector"`
	Account          string          `json:"account"`
	ConnectorVersion string          `json:"connector_version"` // of the definition that made it
	State            string          `json:"state"`             // pending, selecting, active, disabled or needs_reauth
	Enabled          bool            `json:"enabled"`
	Config           json.RawMessage `json:"config"`
	// WebhookURL is where the provider sends its webhooks; zero if the connector
	// has none. Its last segment is the secret that authenticates them: whole in
	// the answers of Connect and RotateWebhook, else masked.
	WebhookURL secret.Text `json:"webhook_url,omitzero"`
	// PreviousWebhookURLUntil is how long the URL before the last rotation works.
	PreviousWebhookURLUntil *time.Time          `json:"previous_webhook_url_until,omitempty"`
	Tags                    map[string]string   `json:"tags,omitempty"`
	Metadata                connectors.Metadata `json:"metadata"` // of the connector
	// Of connections by OAuth: the site they belong to, or the sites that wait for
	// [Scope.Select]; the user, as the provider tells it; the scopes that were
	// granted, and when the access token ends.
	Resource      *Resource  `json:"resource,omitempty"`
	Resources     []Resource `json:"resources,omitempty"`
	User          *User      `json:"user,omitempty"`
	GrantedScopes []string   `json:"granted_scopes,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	// Companions are the connection's further tokens, by name; from Get only.
	Companions map[string]Companion `json:"companions,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Status    *Status   `json:"status,omitempty"` // from Get only
	// Error is set if the secrets of the record cannot be opened.
	Error *connectors.Error `json:"error,omitempty"`
}

// Companion is a further token of a connection: a user's beside a bot's.
type Companion struct {
	State         string     `json:"state"` // live, or needs_reauth: somebody has to connect again
	GrantedScopes []string   `json:"granted_scopes,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
}

// Resource is a site of the provider's account.
type Resource struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

// User is the person or account behind a connection.
type User struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Avatar string `json:"avatar,omitempty"`
}

// Status is the health of a connection: when it was last used, and how that went.
type Status struct {
	LastWebhook *Outcome `json:"last_webhook,omitempty"`
	LastAction  *Outcome `json:"last_action,omitempty"`
	LastError   *Outcome `json:"last_error,omitempty"`
}

// Outcome is one use of a connection.
type Outcome struct {
	At     time.Time       `json:"at"`
	Result string          `json:"result"` // success or error
	Code   connectors.Code `json:"code,omitempty"`
}
