package connectors

import (
	"context"
	"encoding/json"
	"time"
)

// WebhookEndpoint is what a provider gets of a connection's webhook: the values of the
// placeholders ${webhook.…}.
type WebhookEndpoint struct {
	URL    Secret // of the connection's webhook: its last segment is a secret
	Secret Secret // the signing secret in the config; zero if there is none
	ID     string // a new id for each registration
}

// Registration is a webhook that is registered at a provider.
type Registration struct {
	// ID is the provider's, of the JSON type that it has in the provider's answer.
	ID json.RawMessage
	// Values are those of [SubscriptionCreate.Values].
	Values map[string]json.RawMessage
	// ExpiresAt is when it ends; zero if it does not.
	ExpiresAt time.Time
	// Secret is the signing secret that the provider has chosen; zero if it chooses none.
	Secret Secret
}

// ListedRegistration is an item of the provider's list.
type ListedRegistration struct {
	ID  json.RawMessage
	URL Secret
}

// Registrar calls the provider about registrations, as a [Subscription] says. Errors have a
// code, as those of [Action.Run]. Safe for concurrent use.
type Registrar interface {
	// Fingerprint is equal for calls whose requests to create would be equal, but for the id
	// and the time.
	Fingerprint(call *Call, to WebhookEndpoint) (string, error)
	Create(ctx context.Context, call *Call, to WebhookEndpoint) (Registration, error)
	// Renew returns when the registration ends now.
	Renew(ctx context.Context, call *Call, to WebhookEndpoint, r Registration) (time.Time, error)
	// Delete returns nil also if the provider does not know the registration.
	Delete(ctx context.Context, call *Call, to WebhookEndpoint, r Registration) error
	List(ctx context.Context, call *Call, to WebhookEndpoint) ([]ListedRegistration, error)
	// DeletesByURL reports whether the request to delete names the webhook's URL.
	DeletesByURL() bool
	// NeedsSecret reports whether the request to create names the signing secret.
	NeedsSecret() bool
}
