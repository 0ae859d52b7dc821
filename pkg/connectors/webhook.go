package connectors

import (
	"context"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Webhook is how a provider calls the connector, and the code that handles its deliveries.
type Webhook struct {
	webhooks.Descriptor `yaml:",inline"`
	// Handler, if set, handles deliveries in executors.
	Handler WebhookHandler `json:"-" yaml:"-"`
}

// Delivery is a verified webhook as its handler gets it.
type Delivery struct {
	// ID is the id of the stored event: the same at every attempt.
	ID string
	// ProviderID is the provider's own id of the delivery, "" if it sends none.
	ProviderID string
	Type       string // the provider's event type, "unknown" if it names none
	Method     string
	Header     http.Header // the provider's, without credentials
	Body       []byte      // the raw bytes
	// Payload is the JSON document: the body, or the form field that contains it.
	Payload  []byte
	Received time.Time
	// ReplayOf is the id of the event that an operator has replayed as this one.
	ReplayOf string
}

// WebhookHandler handles a delivery. It runs in executors, after the provider has its
// answer, and may run more than once for one delivery. Its errors mean the same as those of
// an action's handler: nil is done, [Permanent] is not retried, [RetryAfter] is retried
// after its delay, any other error later.
type WebhookHandler func(ctx context.Context, call *Call, d *Delivery) error

// Default limits of a webhook's handler.
const (
	defaultWebhookTimeout  = 30 * time.Second
	defaultWebhookAttempts = 5
)

// TimeLimit returns how long one attempt of the handler may take.
func (w *Webhook) TimeLimit() time.Duration {
	if w.Timeout > 0 {
		return time.Duration(w.Timeout)
	}
	return defaultWebhookTimeout
}

// AttemptLimit returns how often the handler is tried.
func (w *Webhook) AttemptLimit() int {
	if w.MaxAttempts > 0 {
		return w.MaxAttempts
	}
	return defaultWebhookAttempts
}

// Handle performs one attempt, under the time limit. A failure, a panic included, is an
// *[Error] as of [Action.Run].
func (w *Webhook) Handle(ctx context.Context, call *Call, d *Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, w.TimeLimit())
	defer cancel()
	if err := recovered(func() error { return w.Handler(ctx, call, d) }); err != nil {
		return publicError(err, call)
	}
	return nil
}
