package ingress

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// message is a verified delivery as it is stored.
type message struct {
	event   *events.Message
	subject string
	unique  bool // a repetition of the delivery has the same subject
}

// message makes the event of a delivery: the body as it came, and the provider's
// headers.
func (i *Ingress) message(d *delivery, filed webhook.Delivery, v webhook.Verified) *message {
	kind := filed.Type
	if kind == "" {
		kind = "unknown"
	}
	e := events.NewWithID(d.id, "ingress", "hawser.webhook."+kind, d.conn.About(), d.Body)
	e.SetDataContentType(contentTypeOf(d.Header))
	e.SetExtension(events.ExtMethod, d.Method)
	e.SetExtension(events.ExtPath, d.path)
	if v.Scheme == webhooks.SchemeUnsigned {
		e.SetExtension(events.ExtVerified, "false")
		i.metrics.unsigned.Inc()
	}
	keepHeaders(e.Header, d.Header, secretHeaders(d.webhook), d.urlSecret())
	e.SetExtension(events.ExtDelivery, filed.ID)
	token := ""
	switch {
	case filed.ID != "":
		token = events.DeliveryToken(d.conn.ID, events.FromProvider, filed.ID)
	case d.redrivenFrom != "":
		token = events.DeliveryToken(d.conn.ID, events.FromQuarantine, d.redrivenFrom)
	default:
		token = events.DeliveryToken(d.conn.ID, events.FromRequest, d.id)
	}
	return &message{
		event: e, subject: i.Bus.Webhook(d.conn.Ref().Tenant, d.conn.Connector, filed.Type, token),
		unique: filed.ID != "" || d.redrivenFrom != "",
	}
}

func contentTypeOf(h http.Header) string {
	if ct := h.Get("Content-Type"); ct != "" {
		return ct
	}
	return "application/octet-stream"
}

// store publishes the delivery, once, and returns when the stream has it, or ctx
// ends.
func (i *Ingress) store(ctx context.Context, d *delivery, m *message) (receipt, *connectors.Error) {
	key := m.subject
	if !m.unique {
		key = ""
	}
	duplicate, refusal := i.recent.once(key, func() (bool, *connectors.Error) { return i.publish(ctx, d, m) })
	switch {
	case refusal != nil:
		return receipt{}, i.reject(ctx, d, refusal)
	case duplicate:
		return receipt{Duplicate: true}, nil
	}
	return receipt{ID: m.event.ID()}, nil
}

// inProgressPause is the time between two attempts to store a delivery of which
// another ingress of a cluster is storing a copy.
const inProgressPause = 20 * time.Millisecond

// pause waits for d, and returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// publish reports whether the stream had the delivery already.
func (i *Ingress) publish(ctx context.Context, d *delivery, m *message) (duplicate bool, refusal *connectors.Error) {
	err := i.send(ctx, d, m)
	for errors.Is(err, events.ErrInProgress) && pause(ctx, inProgressPause) {
		err = i.send(ctx, d, m)
	}
	switch {
	case errors.Is(err, events.ErrExists) && !errors.Is(err, events.ErrInProgress):
		return true, nil
	case errors.Is(err, events.ErrTooLarge):
		return false, connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the delivery is larger than the stream takes")
	case err != nil:
		i.log.Warn().Err(err).Str("connector", d.conn.Connector).Str("trace_id", events.TraceID(ctx)).Msg("webhook not stored")
		return false, storeError(err)
	}
	return false, nil
}

func (i *Ingress) send(ctx context.Context, d *delivery, m *message) error {
	e, large := m.event, !i.Bus.Fits(len(d.Body))
	if large && e.Data != nil {
		// The body first: the event is what makes the delivery ours.
		ref, err := i.Bus.PutBody(ctx, e.ID(), d.Body)
		if err != nil {
			return err
		}
		e.SetExtension(events.ExtDataRef, ref)
		e.Data = nil
	}
	sent := time.Now()
	defer func() { i.metrics.ackSeconds.Observe(time.Since(sent).Seconds()) }()
	pending, err := i.Bus.PublishAsync(ctx, m.subject, e, &events.PublishOptions{First: true})
	if err == nil {
		_, err = pending.Wait(ctx)
	}
	if large && errors.Is(err, events.ErrExists) && !errors.Is(err, events.ErrInProgress) {
		// No event names this body. If it cannot be removed, its age ends it.
		_ = i.Bus.DropBody(ctx, e.ID())
	}
	return err
}
