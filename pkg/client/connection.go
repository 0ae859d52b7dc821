package client

import (
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Connection is a tenant's authorised account at a connector. Secret fields of the config
// are masked.
type Connection struct {
	ID               string          `json:"id"`
	Scope            string          `json:"scope"`
	Identity         string          `json:"identity"`
	Connector        string          `json:"connector"`
	Account          string          `json:"account"`
	ConnectorVersion string          `json:"connector_version"` // of the connector when it was connected
	State            string          `json:"state"`             // pending, selecting, active, disabled or needs_reauth
	Enabled          bool            `json:"enabled"`
	Config           json.RawMessage `json:"config"`
	// WebhookURL is the URL for the provider's webhooks; zero if the connector has none.
	// Its last segment is the secret that authenticates them: complete in the replies of
	// Connect and RotateWebhook, else masked.
	WebhookURL secret.Text `json:"webhook_url,omitzero"`
	// PreviousWebhookURLUntil is until when the URL before the last rotation works.
	PreviousWebhookURLUntil *time.Time          `json:"previous_webhook_url_until,omitempty"`
	Tags                    map[string]string   `json:"tags,omitempty"`
	Metadata                connectors.Metadata `json:"metadata"` // of the connector
	// Of connections by OAuth: the site, or the sites to choose from with [Scope.Select];
	// the provider's user; the granted scopes; when the access token expires.
	Resource      *Resource  `json:"resource,omitempty"`
	Resources     []Resource `json:"resources,omitempty"`
	User          *User      `json:"user,omitempty"`
	GrantedScopes []string   `json:"granted_scopes,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
	// Companions are the connection's further tokens, by name; only from Get.
	Companions map[string]Companion `json:"companions,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Status    *Status   `json:"status,omitempty"` // only from Get
	// Error is set if the secrets of the connection cannot be decrypted.
	Error *connectors.Error `json:"error,omitempty"`
}

// Companion is a further token of a connection, a user's beside a bot's for example.
type Companion struct {
	State         string     `json:"state"` // live, or needs_reauth: the user must authorize again
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

// Status is the health of a connection: its last uses and their results.
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
