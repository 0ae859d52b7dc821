package ingress

import (
	"context"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// parcel is a verified delivery on its way into the stream.
type parcel struct {
	conn     *connection.Connection
	method   string
	path     string // the secret masked
	header   http.Header
	body     []byte
	delivery webhook.Delivery
	verified webhook.Verified
}

// receipt tells a delivery that is new from one that was here before.
type receipt struct {
	ID        string `json:"id,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	// Quarantined: kept, and not handed on before an operator drives it again.
	Quarantined bool `json:"quarantined,omitempty"`
}

// messageID is what the stream and the memories tell repetitions by; "" if
// nothing does. It begins with the tenant and the connection, because the
// stream's window is shared by all.
func (p parcel) messageID() string {
	if p.delivery.ID == "" {
		return ""
	}
	return p.conn.Ref().Key() + "/" + events.Token(p.delivery.ID)
}

// fallbackID is unique where the delivery has no id of its own.
func (p parcel) fallbackID(unique string) string {
	if p.delivery.ID == "" {
		return unique
	}
	return ""
}

// storePatience bounds storing: the publish, and the look for an earlier copy.
const storePatience = 10 * time.Second

// deposit stores the delivery, once, and returns when the stream has it.
func (i *Ingress) deposit(ctx context.Context, p parcel) (receipt, *connectors.Error) {
	e := i.event(p)
	messageID := p.messageID()
	if messageID == "" {
		duplicate, refusal := i.publish(ctx, p, e, "")
		return receipt{ID: e.ID(), Duplicate: duplicate}, refusal
	}
	duplicate, refusal := i.recent.once(ctx, messageID, func() (bool, *connectors.Error) {
		// Others wait for the outcome, so it must not hang on this caller's patience.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
		defer cancel()
		if i.storedBefore(ctx, messageID) {
			return true, nil
		}
		return i.publish(ctx, p, e, messageID)
	})
	if duplicate {
		return receipt{Duplicate: true}, refusal
	}
	return receipt{ID: e.ID()}, refusal
}

func (i *Ingress) event(p parcel) events.Event {
	e := events.New("ingress", "hawser.webhook."+typeOrUnknown(p.delivery.Type), p.conn.About(), p.body)
	e.SetDataContentType(contentTypeOf(p.header))
	e.SetExtension(events.ExtMethod, p.method)
	e.SetExtension(events.ExtPath, p.path)
	if p.verified.Scheme == connectors.SchemeUnsigned {
		e.SetExtension(events.ExtVerified, "false")
		i.metrics.unsigned.Inc()
	}
	if p.delivery.ID != "" {
		e.SetExtension(events.ExtDelivery, p.delivery.ID)
	}
	return e
}

// publish reports whether the stream had the message already.
func (i *Ingress) publish(ctx context.Context, p parcel, e events.Event, messageID string) (bool, *connectors.Error) {
	large := !i.Bus.Fits(len(p.body))
	if large {
		// The body first: the event is what makes the delivery ours.
		ref, err := i.Bus.PutBody(ctx, e.ID(), p.body)
		if err != nil {
			i.log.Warn().Err(err).Str("connector", p.conn.Connector).Msg("body of a webhook not stored")
			return false, storeError(err)
		}
		e.SetExtension(events.ExtDataRef, ref)
		e.DataEncoded = nil
	}
	header, data := events.EncodeTraced(ctx, e)
	keepHeaders(header, p.header)
	subject := i.Bus.Webhook(p.conn.Ref().Tenant, p.conn.Connector, p.delivery.Type)
	sent := time.Now()
	pending, err := i.Bus.PublishRaw(subject, header, data, &events.PublishOptions{MsgID: messageID})
	var ack events.Ack
	if err == nil {
		ack, err = pending.Wait(ctx)
	}
	i.metrics.ackSeconds.Observe(time.Since(sent).Seconds())
	if err != nil {
		i.log.Warn().Err(err).Str("connector", p.conn.Connector).Msg("webhook not stored")
		return false, storeError(err)
	}
	if large && ack.Duplicate {
		// Nobody names this copy; what cannot be removed goes with its age.
		_ = i.Bus.DropBody(ctx, e.ID())
	}
	return ack.Duplicate, nil
}
