package ingress

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// message is a verified delivery as it is stored.
type message struct {
	id      string // of the event
	dedup   string // message id by which the stream knows a repetition; "" if nothing tells one
	subject string
	header  events.Header
	data    []byte
}

// message makes the event of a delivery: the body as it came, and the provider's
// headers. The message id makes a provider's retry one event: it begins with the
// tenant and the connection, because the stream's window is shared by all.
func (i *Ingress) message(d *delivery, filed webhook.Delivery, v webhook.Verified) *message {
	kind := filed.Type
	if kind == "" {
		kind = "unknown"
	}
	e := events.New("ingress", "hawser.webhook."+kind, d.conn.About(), d.Body)
	e.SetDataContentType(contentTypeOf(d.Header))
	e.SetExtension(events.ExtMethod, d.Method)
	e.SetExtension(events.ExtPath, i.maskedPath(d.conn.Connector))
	if v.Scheme == connectors.SchemeUnsigned {
		e.SetExtension(events.ExtVerified, "false")
		i.metrics.unsigned.Inc()
	}
	m := &message{id: e.ID(), subject: i.Bus.Webhook(d.conn.Ref().Tenant, d.conn.Connector, filed.Type)}
	if filed.ID != "" {
		e.SetExtension(events.ExtDelivery, filed.ID)
		m.dedup = d.conn.Ref().Key() + "/" + events.Token(filed.ID)
	}
	m.header, m.data = events.EncodeTraced(d.r.Context(), e)
	keepHeaders(m.header, d.Header, secretHeaders(d.webhook))
	return m
}

func contentTypeOf(h http.Header) string {
	if ct := h.Get("Content-Type"); ct != "" {
		return ct
	}
	return "application/octet-stream"
}

// acknowledged tells a delivery that is new from one that was here before.
type acknowledged struct {
	ID        string `json:"id,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// store publishes the delivery and answers when the stream has it. Repetitions
// that this process remembers are not published at all: whoever listens live
// would hear them.
func (i *Ingress) store(ctx context.Context, w http.ResponseWriter, d *delivery, m *message) (int, *connectors.Error) {
	isNew, err := i.remembered.once(ctx, m.dedup, func() (bool, error) { return i.publish(ctx, m) })
	switch {
	case errors.Is(err, events.ErrTooLarge):
		return 0, i.reject(d, connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the delivery is larger than the stream takes"))
	case err != nil:
		i.log.Warn().Err(err).Str("connector", d.conn.Connector).Str("trace_id", events.TraceID(ctx)).Msg("webhook not stored")
		return 0, storeError(err)
	case !isNew:
		writeJSON(w, http.StatusOK, jsonType, acknowledged{Duplicate: true})
		return http.StatusOK, nil
	}
	writeJSON(w, http.StatusAccepted, jsonType, acknowledged{ID: m.id})
	return http.StatusAccepted, nil
}

// publish reports whether the stream did not have the message before.
func (i *Ingress) publish(ctx context.Context, m *message) (isNew bool, err error) {
	sent := time.Now()
	defer func() { i.metrics.ackSeconds.Observe(time.Since(sent).Seconds()) }()
	pending, err := i.Bus.PublishRaw(m.subject, m.header, m.data, &events.PublishOptions{MsgID: m.dedup})
	if err != nil {
		return false, err
	}
	ack, err := pending.Wait(ctx)
	return err == nil && !ack.Duplicate, err
}
