package connectors

import (
	"context"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

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
	// Payload is the JSON document: the body, or the form field that holds it.
	Payload  []byte
	Received time.Time
	// ReplayOf is the id of the event that this one repeats by an operator's wish.
	ReplayOf string
}

// Webhook is how a provider calls the connector, and what is done about it.
type Webhook struct {
	webhooks.Descriptor `yaml:",inline"`
	// Handler, if set, acts on deliveries in executors.
	Handler WebhookHandler `json:"-" yaml:"-"`
}

// WebhookHandler acts on a delivery. It runs in executors, after the provider
// was answered, and may run more than once for one delivery. Its errors are
// instructions as those of an action's handler: nil is done, [Permanent] gives
// up, [RetryAfter] asks for a time, anything else is tried again later.
type WebhookHandler func(ctx context.Context, call *Call, d *Delivery) error

// Default limits of a webhook's handler.
const (
	defaultWebhookTimeout  = 30 * time.Second
	defaultWebhookAttempts = 5
)

// TimeLimit is how long one attempt of the handler may take.
func (w *Webhook) TimeLimit() time.Duration {
	if w.Timeout > 0 {
		return time.Duration(w.Timeout)
	}
	return defaultWebhookTimeout
}

// AttemptLimit is how often the handler is tried.
func (w *Webhook) AttemptLimit() int {
	if w.MaxAttempts > 0 {
		return w.MaxAttempts
	}
	return defaultWebhookAttempts
}

// Handle performs one attempt, under the time limit. A failure is an *[Error] as
// of [Action.Run]; a panic is one too.
func (w *Webhook) Handle(ctx context.Context, call *Call, d *Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, w.TimeLimit())
	defer cancel()
	if err := w.protected(ctx, call, d); err != nil {
		return failure(err, call)
	}
	return nil
}

func (w *Webhook) protected(ctx context.Context, call *Call, d *Delivery) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = newPanic(value)
		}
	}()
	return w.Handler(ctx, call, d)
}
