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
	dedup   string // message id by which the streams know a repetition; "" if nothing tells one
	subject string
}

// message makes the event of a delivery: the body as it came, and the provider's
// headers. The message id makes a provider's retry one event: it begins with the
// tenant and the connection, because the stream's window is shared by all.
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
	m := &message{event: e, subject: i.Bus.Webhook(d.conn.Ref().Tenant, d.conn.Connector, filed.Type)}
	if filed.ID != "" {
		e.SetExtension(events.ExtDelivery, filed.ID)
		m.dedup = d.conn.Ref().Key() + "/" + events.Token(filed.ID)
	}
	return m
}

func contentTypeOf(h http.Header) string {
	if ct := h.Get("Content-Type"); ct != "" {
		return ct
	}
	return "application/octet-stream"
}

// store publishes the delivery, once, and returns when the stream has it, or the
// patience of ctx ends. Repetitions that are known are not published at all:
// whoever listens live would hear them.
func (i *Ingress) store(ctx context.Context, d *delivery, m *message) (receipt, *connectors.Error) {
	duplicate, refusal := i.recent.once(ctx, m.dedup, func() (bool, *connectors.Error) {
		if m.dedup != "" && i.storedBefore(ctx, m.dedup) {
			return true, nil
		}
		return i.publish(ctx, d, m)
	})
	switch {
	case refusal != nil:
		return receipt{}, i.reject(ctx, d, refusal)
	case duplicate:
		return receipt{Duplicate: true}, nil
	}
	return receipt{ID: m.event.ID()}, nil
}

// publish reports whether the stream had the message already.
func (i *Ingress) publish(ctx context.Context, d *delivery, m *message) (duplicate bool, refusal *connectors.Error) {
	ack, err := i.send(ctx, d, m)
	switch {
	case errors.Is(err, events.ErrTooLarge):
		return false, connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the delivery is larger than the stream takes")
	case err != nil:
		i.log.Warn().Err(err).Str("connector", d.conn.Connector).Str("trace_id", events.TraceID(ctx)).Msg("webhook not stored")
		return false, storeError(err)
	}
	return ack.Duplicate, nil
}

func (i *Ingress) send(ctx context.Context, d *delivery, m *message) (ack events.Ack, err error) {
	e, large := m.event, !i.Bus.Fits(len(d.Body))
	if large {
		// The body first: the event is what makes the delivery ours.
		ref, err := i.Bus.PutBody(ctx, e.ID(), d.Body)
		if err != nil {
			return ack, err
		}
		e.SetExtension(events.ExtDataRef, ref)
		e.Data = nil
	}
	sent := time.Now()
	defer func() { i.metrics.ackSeconds.Observe(time.Since(sent).Seconds()) }()
	pending, err := i.Bus.PublishAsync(ctx, m.subject, e, &events.PublishOptions{MsgID: m.dedup})
	if err == nil {
		ack, err = pending.Wait(ctx)
	}
	if large && err == nil && ack.Duplicate {
		// Nobody names this copy; what cannot be removed goes with its age.
		_ = i.Bus.DropBody(ctx, e.ID())
	}
	return ack, err
}
