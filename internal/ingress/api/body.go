package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// bodies answers with the body of a stored webhook, also of one that is larger than a
// message, whose event has "dataref" in place of data.
type bodies struct{ webhooks *replays }

// find returns a webhook of a tenant with its body. That of another tenant is not found.
func (b bodies) find(ctx context.Context, t events.Tenant, id string) (d *events.StoredMessage, body []byte, err error) {
	if d, err = b.webhooks.find(ctx, id); err != nil {
		return nil, nil, err
	}
	ref, err := b.webhooks.queue.Bus.Subjects.ParseWebhook(d.Subject)
	if err != nil || ref.Tenant != t {
		return nil, nil, errNoWebhook
	}
	if body, err = b.webhooks.queue.Bodies.Get(ctx, d); err != nil {
		return nil, nil, problem.OfStream(err)
	}
	return d, body, nil
}

// serve is GET /scopes/{scope}/{identity}/webhooks/{id}/body: the bytes as the provider has
// sent them.
func (b bodies) serve(w http.ResponseWriter, r *http.Request) {
	d, body, err := b.find(r.Context(), events.Tenant{Scope: r.PathValue("scope"), Identity: b.webhooks.base.Identity(r)}, r.PathValue("id"))
	if err != nil {
		problem.Write(w, err)
		return
	}
	w.Header().Set("Content-Type", contentTypeOf(d))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	// It is a stranger's document: no browser shows it as one of this site's.
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the caller may have gone
}

func contentTypeOf(d *events.StoredMessage) string {
	e, err := events.Decode(d.Header, nil)
	if err != nil || e.DataContentType() == "" {
		return "application/octet-stream"
	}
	return e.DataContentType()
}

// chunk is a part of a body: a message of NATS has no room for every body.
type chunk struct {
	ContentType string `json:"content_type"`
	Size        int    `json:"size"` // of the whole body, in bytes
	Data        []byte `json:"data"` // base64
	NextOffset  *int   `json:"next_offset,omitempty"`
}

const chunkBytes = 256 << 10

// get is the operation webhooks.body.
func (b bodies) get(ctx context.Context, p params) (any, error) {
	d, body, err := b.find(ctx, p.tenant(), p.ID)
	if err != nil {
		return nil, err
	}
	if p.Offset > len(body) {
		return nil, connectors.Errorf(connectors.CodeRequestInvalid, "the offset is behind the end of the body, which has %d bytes", len(body))
	}
	end := min(p.Offset+chunkBytes, len(body))
	c := chunk{ContentType: contentTypeOf(d), Size: len(body), Data: body[p.Offset:end]}
	if end < len(body) {
		c.NextOffset = &end
	}
	return c, nil
}
