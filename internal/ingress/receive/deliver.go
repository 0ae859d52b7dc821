package receive

import (
	"context"
	"errors"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// publisher stores verified deliveries in the stream.
type publisher struct {
	queue      *queue.Queue
	group      *events.GroupCommit // nil: every webhook is published by itself
	recent     *recent
	rejections *rejections
	metrics    *metrics
	log        zerolog.Logger
}

// message is a verified delivery as it is stored.
type message struct {
	event   *events.Message
	subject string
	unique  bool // a repetition of the delivery has the same subject
}

// message makes the event of a delivery: the body as it came, and the provider's
// headers.
func (p *publisher) message(d *delivery) *message {
	kind := d.extracted.Type
	if kind == "" {
		kind = "unknown"
	}
	e := events.NewWithID(d.id, "ingress", "hawser.webhook."+kind, d.conn.About(), d.Body)
	e.SetDataContentType(contentTypeOf(d.Header))
	e.SetExtension(events.ExtMethod, d.Method)
	e.SetExtension(events.ExtPath, d.path)
	if d.verified.Scheme == webhooks.SchemeUnsigned {
		e.SetExtension(events.ExtVerified, "false")
		p.metrics.unsigned.Inc()
	}
	copyHeaders(e.Header, d.Header, secretHeaders(&d.def.Webhook.Descriptor), d.urlSecret())
	e.SetExtension(events.ExtDelivery, d.extracted.ID)
	token := ""
	switch {
	case d.extracted.ID != "":
		token = events.DeliveryToken(d.conn.ID, events.FromProvider, d.extracted.ID)
	case d.redrivenFrom != "":
		token = events.DeliveryToken(d.conn.ID, events.FromQuarantine, d.redrivenFrom)
	default:
		token = events.DeliveryToken(d.conn.ID, events.FromRequest, d.id)
	}
	return &message{
		event: e, subject: p.queue.Bus.Subjects.Webhook(d.conn.Ref().Tenant, d.conn.Connector, d.extracted.Type, token),
		unique: d.extracted.ID != "" || d.redrivenFrom != "",
	}
}

// contentTypeOf returns the content type without the optional blanks around semicolons (RFC
// 9110 section 5.6.6): as an attribute of CloudEvents they would be percent-encoded, and
// libraries then do not recognise JSON.
func contentTypeOf(h http.Header) string {
	ct := h.Get("Content-Type")
	if ct == "" {
		return "application/octet-stream"
	}
	if mediaType, params, err := mime.ParseMediaType(ct); err == nil {
		for _, name := range slices.Sorted(maps.Keys(params)) {
			mediaType += ";" + name + "=" + quoted(params[name])
		}
		return mediaType
	}
	return ct
}

// quoted returns the value of a parameter, quoted where it is no token (RFC 9110 section
// 5.6.2).
func quoted(value string) string {
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// store publishes the delivery, once, and returns when the stream has it, or ctx
// ends.
func (p *publisher) store(ctx context.Context, d *delivery, m *message) (Receipt, error) {
	key := m.subject
	if !m.unique {
		key = ""
	}
	duplicate, err := p.recent.once(key, func() (bool, error) { return p.publish(ctx, d, m) })
	switch {
	case err != nil:
		return Receipt{}, p.rejections.record(ctx, d, err)
	case duplicate:
		return Receipt{Duplicate: true}, nil
	}
	return Receipt{ID: m.event.ID()}, nil
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
func (p *publisher) publish(ctx context.Context, d *delivery, m *message) (duplicate bool, err error) {
	err = p.send(ctx, d, m)
	for errors.Is(err, events.ErrInProgress) && pause(ctx, inProgressPause) {
		err = p.send(ctx, d, m)
	}
	switch {
	case errors.Is(err, events.ErrExists) && !errors.Is(err, events.ErrInProgress):
		return true, nil
	case errors.Is(err, events.ErrTooLarge):
		return false, connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the delivery is larger than the stream takes")
	case err != nil:
		p.log.Warn().Err(err).Str("connector", d.conn.Connector).Str("trace_id", events.TraceID(ctx)).Msg("webhook not stored")
		return false, problem.OfStream(err)
	}
	return false, nil
}

func (p *publisher) send(ctx context.Context, d *delivery, m *message) error {
	e, large := m.event, !p.queue.Bodies.Fits(len(d.Body))
	if large && e.Data != nil {
		// The body first: the event is what makes the delivery ours.
		ref, err := p.queue.Bodies.Put(ctx, e.ID(), d.Body)
		if err != nil {
			return err
		}
		e.SetExtension(events.ExtDataRef, ref)
		e.Data = nil
	}
	sent := time.Now()
	defer func() { p.metrics.ackSeconds.Observe(time.Since(sent).Seconds()) }()
	var err error
	if p.group != nil {
		err = p.group.Publish(ctx, m.subject, e)
	} else {
		_, err = p.queue.Bus.Publish(ctx, m.subject, e, &events.PublishOptions{ExpectEmpty: true})
	}
	if large && errors.Is(err, events.ErrExists) && !errors.Is(err, events.ErrInProgress) {
		// No event names this body. If it cannot be removed, its age ends it.
		_ = p.queue.Bodies.Delete(ctx, e.ID())
	}
	return err
}
