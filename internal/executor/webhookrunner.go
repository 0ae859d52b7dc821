package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// webhookRunner calls the webhook handlers of connectors.
type webhookRunner struct {
	queue       *queue.Queue
	connections *records.Connections
	calls       *callBuilder
	workers     *workers
	transport   http.RoundTripper
	running     prometheus.Gauge
}

// run calls the handler within its time limit. Every error has a code.
func (r *webhookRunner) run(ctx context.Context, t *webhookTask) error {
	conn, err := r.connections.Get(ctx, t.ref())
	if err != nil {
		return err
	}
	if err := conn.Usable(); err != nil {
		return connectors.Permanent(err)
	}
	body, err := r.queue.Bodies.Get(ctx, t.webhook)
	if errors.Is(err, events.ErrNotFound) {
		return connectors.Permanent(connectors.Errorf(connectors.CodeInternal, "the body of the webhook is no longer stored"))
	}
	if err != nil {
		return err
	}
	definition := t.connector.Webhook
	call := &connectors.Call{
		Scope: t.about.Scope, Identity: t.about.Identity, Connector: t.connector.Key, Account: t.ref().Account,
		RequestID: t.event.ID(), Attempt: t.attempt, IdempotencyKey: t.event.ID(),
	}
	prepare, cancel := context.WithTimeout(ctx, definition.TimeLimit())
	defer cancel()
	if err := r.calls.build(prepare, call, target{connector: t.connector, connection: conn, transport: r.transport}); err != nil {
		return err
	}
	if err := r.workers.setContext(prepare, t.connector, call); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, definition.TimeLimit())
	defer cancel()
	r.running.Inc()
	_, err = r.workers.runBounded(ctx, func() (json.RawMessage, error) {
		defer r.running.Dec()
		return nil, definition.Handle(ctx, call, t.delivery(body))
	})
	return err
}

// delivery is what the handler gets: the provider's request, without the headers that are
// ours.
func (t *webhookTask) delivery(body []byte) *connectors.Delivery {
	header := http.Header{}
	for name, values := range t.webhook.Header {
		if lower := strings.ToLower(name); !strings.HasPrefix(lower, "ce-") && !strings.HasPrefix(lower, "nats-") && !strings.HasPrefix(lower, "hawser-") {
			header[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	return &connectors.Delivery{
		ID: t.event.ID(), ProviderID: events.Extension(t.event, events.ExtDelivery), Type: strings.TrimPrefix(t.event.Type(), "hawser.webhook."),
		Method: events.Extension(t.event, events.ExtMethod), Header: header, Body: body, Received: t.event.Time(),
		ReplayOf: events.Extension(t.event, events.ExtReplayOf),
		Payload:  webhook.PayloadOf(&t.connector.Webhook.Descriptor, webhook.Request{Header: header, Body: body}),
	}
}
