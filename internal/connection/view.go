package connection

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// View is a connection as callers see it: secret fields are masked, and the
// secret of the webhook URL too, except in the answer to the call that made it.
type View struct {
	ID               string          `json:"id"`
	Scope            string          `json:"scope"`
	Identity         string          `json:"identity"`
	Connector        string          `json:"connector"`
	Account          string          `json:"account"`
	ConnectorVersion string          `json:"connector_version"`
	State            records.State   `json:"state"`
	Enabled          bool            `json:"enabled"`
	Config           json.RawMessage `json:"config"`
	WebhookURL       string          `json:"webhook_url,omitempty"`
	PreviousURLUntil *time.Time      `json:"previous_webhook_url_until,omitempty"`
	// PreviousSecretUntil is until when a webhook secret verifies that another has
	// taken the place of; the last of them, if there are several.
	PreviousSecretUntil *time.Time `json:"previous_webhook_secret_until,omitempty"`
	// CapturedSecret says that the provider has handed over a webhook secret that nobody has
	// read.
	CapturedSecret bool               `json:"captured_secret,omitempty"`
	Tags           map[string]string  `json:"tags,omitempty"`
	Resource       *records.Resource  `json:"resource,omitempty"`
	Resources      []records.Resource `json:"resources,omitempty"` // to choose from, while selecting
	User           *records.User      `json:"user,omitempty"`
	GrantedScopes  []string           `json:"granted_scopes,omitempty"`
	ExpiresAt      *time.Time         `json:"expires_at,omitempty"` // of the access token
	// Companions are the connection's further tokens, by name; from Get only.
	Companions map[string]CompanionView `json:"companions,omitempty"`
	Metadata   connectors.Metadata      `json:"metadata"`
	CreatedAt  time.Time                `json:"created_at"`
	UpdatedAt  time.Time                `json:"updated_at"`
	Status     *records.Status          `json:"status,omitempty"`
	// Error is set where the record's secrets cannot be opened: it is reported
	// alone, and a list goes on.
	Error *connectors.Error `json:"error,omitempty"`
}

// CompanionView is a companion's token as callers see it.
type CompanionView struct {
	State         records.GrantState `json:"state"`
	GrantedScopes []string           `json:"granted_scopes,omitempty"`
	ExpiresAt     *time.Time         `json:"expires_at,omitempty"` // of the access token
}

const maskedSegment = "***"

// viewer makes views of records.
type viewer struct {
	connections *records.Connections
	definitions *records.Definitions
	grants      *records.Grants // may be nil
	baseURL     string
	now         func() time.Time
}

// view returns what a caller sees of a record. url is the webhook URL's secret if the caller may see it.
func (w *viewer) view(c *records.Connection, url secret.Text) *View {
	v := &View{
		ID: c.ID, Scope: c.Scope, Identity: c.Identity, Connector: c.Connector, Account: c.Account,
		ConnectorVersion: c.ConnectorVersion, State: c.State, Enabled: c.Enabled(), Tags: c.Tags,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Resource: c.Resource, Resources: c.Resources,
	}
	d := records.Draft{Record: c}
	if def, err := w.definitions.Get(c.Connector); err == nil {
		v.Metadata, d.Definition = def.Metadata, def
	}
	if c.Unreadable() != nil {
		v.Enabled, v.Config, v.Error = false, c.Config, connectors.AsError(c.Unreadable())
		return v
	}
	if c.Webhook != nil {
		segment := maskedSegment
		if !url.IsZero() {
			segment = url.Reveal()
		}
		v.WebhookURL = w.webhookURL(c.Connector, segment)
		if p := c.Webhook.Previous; len(p) > 0 && w.now().Before(p[0].Until) {
			v.PreviousURLUntil = &p[0].Until
		}
	}
	v.CapturedSecret = c.Captured != ""
	for _, r := range c.Retired {
		if w.now().Before(r.Until) && (v.PreviousSecretUntil == nil || r.Until.After(*v.PreviousSecretUntil)) {
			v.PreviousSecretUntil = &r.Until
		}
	}
	config, err := w.connections.OpenConfig(c)
	if err != nil {
		// What cannot be opened is shown as masked as what can.
		v.Error = connectors.AsError(err)
		config = c.Config
	}
	// Masked is also what only a newer definition marks and no write has sealed yet.
	if v.Config, err = crypto.MaskFields(config, d.SecretPaths()); err != nil {
		v.Config, v.Error = json.RawMessage(`{}`), connectors.AsError(records.DecryptError(c, err))
	}
	return v
}

// webhookURL returns the URL that a provider is given; segment is its secret, or a mask.
func (w *viewer) webhookURL(connector, segment string) string {
	return w.baseURL + "/connectors/" + connector + "/webhook/" + segment
}

// addGrant adds what is known of the connection's grants. A grant that cannot be read is left out.
func (w *viewer) addGrant(ctx context.Context, v *View, c *records.Connection) {
	if c.Grant == "" || w.grants == nil {
		return
	}
	g, err := w.grants.Get(ctx, c.Grant)
	if err != nil {
		return
	}
	v.User, v.GrantedScopes, v.ExpiresAt = g.User, g.Granted, expiryOf(g)
	for name, key := range c.Companions {
		g, err := w.grants.Get(ctx, key)
		if err != nil {
			continue
		}
		if v.Companions == nil {
			v.Companions = map[string]CompanionView{}
		}
		v.Companions[name] = CompanionView{State: g.State, GrantedScopes: g.Granted, ExpiresAt: expiryOf(g)}
	}
}

// expiryOf returns when the grant's access token expires, nil if it does not.
func expiryOf(g *records.Grant) *time.Time {
	if g.ExpiresAt.IsZero() {
		return nil
	}
	return &g.ExpiresAt
}
