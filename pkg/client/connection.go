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
	CreatedAt               time.Time           `json:"created_at"`
	UpdatedAt               time.Time           `json:"updated_at"`
	Status                  *Status             `json:"status,omitempty"` // from Get only
	// Error is set if the secrets of the record cannot be opened.
	Error *connectors.Error `json:"error,omitempty"`
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
