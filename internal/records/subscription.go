package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// RegistrationState says what is known of a registration.
type RegistrationState string

// The states of a registration. It is stored as creating before the provider is asked: one
// without an outcome may be there or not.
const (
	RegistrationCreating RegistrationState = "creating"
	RegistrationLive     RegistrationState = "live"
	RegistrationLeaving  RegistrationState = "leaving" // to be removed at the provider
)

// Registration is the webhook of a connection, as it is registered at the provider.
type Registration struct {
	State RegistrationState `json:"state"`
	Nonce string            `json:"nonce"` // ${webhook.id}
	// ID is the provider's, of the JSON type that it has there.
	ID     json.RawMessage            `json:"provider_id,omitempty"`
	Values map[string]json.RawMessage `json:"values,omitempty"`
	// Fingerprint is of the request that made it.
	Fingerprint string    `json:"fingerprint,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	RenewedAt   time.Time `json:"renewed_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // zero: never
	Warned      bool      `json:"warned,omitempty"`    // subscription.expiring was published
	Tries       int       `json:"tries,omitempty"`     // to remove it, that failed
	// Connection is the record of the connection that it was made for, as it was stored, with
	// its secrets sealed: what removes the registration when the connection is gone.
	Connection json.RawMessage `json:"connection"`
}

// Lifetime returns for how long it was made or renewed.
func (r *Registration) Lifetime() time.Duration {
	from := r.CreatedAt
	if r.RenewedAt.After(from) {
		from = r.RenewedAt
	}
	return max(r.ExpiresAt.Sub(from), 0)
}

// Subscription is what is registered at a provider for one connection, and what was tried.
type Subscription struct {
	Registrations []*Registration `json:"registrations,omitempty"`
	ComparedAt    time.Time       `json:"compared_at,omitzero"` // with the provider's list
	NextAt        time.Time       `json:"next_at,omitzero"`     // when its timer is set; zero: none is
	Failures      int             `json:"failures,omitempty"`   // in a row
	RetryAt       time.Time       `json:"retry_at,omitzero"`
	Code          connectors.Code `json:"code,omitempty"` // of the last failure

	ref      Ref
	revision uint64
}

// Ref names the connection.
func (s *Subscription) Ref() Ref { return s.ref }

// In returns the registration in a state; nil if there is none.
func (s *Subscription) In(state RegistrationState) *Registration {
	for _, r := range s.Registrations {
		if r.State == state {
			return r
		}
	}
	return nil
}

// Remove removes a registration.
func (s *Subscription) Remove(gone *Registration) {
	s.Registrations = slices.DeleteFunc(s.Registrations, func(r *Registration) bool { return r == gone })
}

// SubscriptionStatus is what the status of a connection says of its webhook's registration.
type SubscriptionStatus struct {
	At        time.Time  `json:"at"`
	State     string     `json:"state"` // live, failed, or none
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Code      string     `json:"code,omitempty"` // of a failure
}

// Subscriptions reads and writes subscriptions. Safe for concurrent use.
type Subscriptions struct{ bucket kvstore.Store }

// NewSubscriptions returns the subscriptions of buckets.
func NewSubscriptions(buckets Buckets) *Subscriptions { return &Subscriptions{buckets.Subscribed} }

// Latest returns the subscription of a connection from the leader; a new one if there is none.
func (s *Subscriptions) Latest(ctx context.Context, r Ref) (*Subscription, error) {
	e, err := latest(ctx, s.bucket, r.Key())
	if errors.Is(err, kvstore.ErrNotFound) {
		return &Subscription{ref: r}, nil
	}
	if err != nil {
		return nil, DatabaseError("read the subscription", err)
	}
	return parseSubscription(e)
}

func parseSubscription(e kvstore.Entry) (*Subscription, error) {
	r, err := ParseKey(e.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignKey, err)
	}
	found := &Subscription{ref: r, revision: e.Revision}
	if err := json.Unmarshal(e.Value, found); err != nil {
		return nil, DatabaseError("read the subscription", fmt.Errorf("subscription %s is malformed", e.Key))
	}
	return found, nil
}

// Save stores a subscription over the revision that it was read at. [ErrConflict] or [ErrExists]
// if another write was faster.
func (s *Subscriptions) Save(ctx context.Context, of *Subscription) error {
	text, err := json.Marshal(of)
	if err != nil {
		return EncryptError(err)
	}
	var revision uint64
	if of.revision == 0 {
		revision, err = s.bucket.Create(ctx, of.ref.Key(), text, 0)
	} else {
		revision, err = s.bucket.Update(ctx, of.ref.Key(), text, of.revision)
	}
	if err != nil {
		return fmt.Errorf("store the subscription: %w", err)
	}
	of.revision = revision
	return nil
}

// Delete removes a subscription. [ErrConflict] if it was changed since it was read.
func (s *Subscriptions) Delete(ctx context.Context, of *Subscription) error {
	if of.revision == 0 {
		return nil
	}
	if err := s.bucket.Delete(ctx, of.ref.Key(), of.revision); err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return fmt.Errorf("remove the subscription: %w", err)
	}
	of.revision = 0
	return nil
}

// List yields all subscriptions. An error ends the list unless it is [ErrForeignKey].
func (s *Subscriptions) List(ctx context.Context) iter.Seq2[*Subscription, error] {
	return func(yield func(*Subscription, error) bool) {
		for e, err := range s.bucket.List(ctx, ">") {
			if err != nil {
				yield(nil, DatabaseError("list the subscriptions", err))
				return
			}
			found, err := parseSubscription(e)
			if !yield(found, err) {
				return
			}
		}
	}
}

// Snapshot returns the record of a connection as it is stored.
func (c *Connection) Snapshot() (json.RawMessage, error) {
	text, err := Marshal(c)
	if err != nil {
		return nil, EncryptError(err)
	}
	return text, nil
}

// OpenWebhookURL returns the secret of the record's webhook URL; zero if it has none.
// CONNECTOR_DECRYPT_FAILED.
func (s *Connections) OpenWebhookURL(c *Connection) (secret.Text, error) {
	if c.Webhook == nil {
		return secret.Text{}, nil
	}
	return s.openAt(c, c.Webhook.Secret, pointerWebhookSecret)
}
