package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// replays replays webhooks: it stores one again, as a new event with "replayof". The
// timestamp is not checked again, and a replay is no repetition: each is a new event.
type replays struct {
	queue   *queue.Queue
	service *connection.Service
	events  *operatorEvents
	base    BasePath
}

const (
	// maxClockSkew is how far the clocks of an ingress and of the server may differ: an
	// event's id has the ingress's time, by which the stream is searched.
	maxClockSkew = time.Minute
	// maxReplayed bounds one request.
	maxReplayed = 1000
)

// errNoWebhook is also the answer for a webhook of another tenant.
const errNoWebhook = problem.NotFoundError("there is no stored webhook with this id")

type replayed struct {
	ID       string `json:"id"`
	ReplayOf string `json:"replayof"`
}

// one is POST /webhooks/{id}/replay.
func (p *replays) one(r *http.Request) (any, error) {
	id := r.PathValue("id")
	d, err := p.find(r.Context(), id)
	if err != nil {
		return nil, err
	}
	ref, err := p.queue.Bus.Subjects.ParseWebhook(d.Subject)
	if err != nil || !callerOf(r.Context()).reaches(ref.Tenant) {
		return nil, errNoWebhook
	}
	return p.replay(r.Context(), d)
}

// find returns a stored webhook by its event's id, a UUIDv7, whose time says where in
// the stream it is.
func (p *replays) find(ctx context.Context, id string) (*events.StoredMessage, error) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return nil, errNoWebhook
	}
	seconds, nanos := u.Time().UnixTime()
	at := time.Unix(seconds, nanos)
	var found *events.StoredMessage
	err = p.queue.Streams.Scan(ctx, events.Webhooks, p.queue.Bus.Subjects.Webhooks(), at.Add(-maxClockSkew), func(d *events.StoredMessage) bool {
		if d.ID() == id {
			found = d
		}
		return found == nil && d.Stored.Before(at.Add(maxClockSkew))
	})
	if err != nil {
		return nil, problem.OfStream(err)
	}
	if found == nil {
		return nil, errNoWebhook
	}
	return found, nil
}

// replay replays one webhook.
func (p *replays) replay(ctx context.Context, d *events.StoredMessage) (replayed, error) {
	ref, err := p.queue.Bus.Subjects.ParseWebhook(d.Subject)
	if err != nil {
		return replayed{}, err
	}
	out := replayed{ID: events.NewID(), ReplayOf: d.ID()}
	if err := p.queue.Replay(ctx, d, out.ID); err != nil {
		return replayed{}, problem.OfStream(err)
	}
	p.events.publish(ctx, events.WebhookReplayed, events.EventContext{Tenant: ref.Tenant, Connector: ref.Connector, RequestID: out.ReplayOf}, "webhooks.replay")
	return out, nil
}

// period is the body of a replay by connection and time.
type period struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Type  string    `json:"type"` // the provider's event type; all if absent
}

// ofConnection is POST …/connections/{connector}/replay: the webhooks that a connection
// received in a period, oldest first, without replays. If there are more than one
// request replays, "next" is the beginning of the next period.
func (p *replays) ofConnection(w http.ResponseWriter, r *http.Request) {
	reply, err := p.replayOf(w, r)
	answer(w, reply, err)
}

func (p *replays) replayOf(w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := problem.ReadBody(w, r, maxRequestBody, connectors.CodeRequestInvalid)
	if err != nil {
		return nil, err
	}
	s, err := readPeriod(body)
	if err != nil {
		return nil, err
	}
	if s.Until.IsZero() {
		s.Until = time.Now()
	}
	q, err := readQuery(r.URL.RawQuery, "account", "this path")
	if err != nil {
		return nil, err
	}
	ref := records.NewRef(events.Tenant{Scope: r.PathValue("scope"), Identity: p.base.Identity(r)}, r.PathValue("connector"), q.Get("account"))
	conn, err := p.service.Latest(r.Context(), ref)
	if err != nil {
		return nil, err
	}
	filter := p.queue.Bus.Subjects.Prefix() + ".webhook." + ref.Tokens() + "." + events.Token(ref.Connector) + "."
	if s.Type == "" {
		filter += ">"
	} else {
		filter += events.Token(s.Type) + ".*"
	}
	return p.replayAll(r.Context(), conn, filter, s)
}

// readPeriod reads a period. Unknown names are refused: with a misspelt until, too much
// would be replayed.
func readPeriod(body []byte) (s period, err error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil {
		return s, problem.Invalid("", "must be a JSON object")
	}
	for name := range given {
		if name != "since" && name != "until" && name != "type" {
			return s, problem.Invalid(name, "is no parameter of a replay")
		}
	}
	if err := json.Unmarshal(body, &s); err != nil || s.Since.IsZero() {
		return s, problem.Invalid("since", "since is needed, and since and until are RFC 3339 times")
	}
	return s, nil
}

func (p *replays) replayAll(ctx context.Context, conn *records.Connection, filter string, s period) (any, error) {
	out := struct {
		Webhooks []replayed `json:"webhooks"`
		Next     *time.Time `json:"next,omitempty"`
	}{Webhooks: []replayed{}}
	var failure error
	err := p.queue.Streams.Scan(ctx, events.Webhooks, filter, s.Since, func(d *events.StoredMessage) bool {
		if d.Stored.After(s.Until) {
			return false
		}
		e, err := events.Decode(d.Header, d.Data)
		if err != nil || events.Extension(e, events.ExtConnection) != conn.ID || events.Extension(e, events.ExtReplayOf) != "" {
			return true
		}
		if len(out.Webhooks) == maxReplayed {
			out.Next = &d.Stored
			return false
		}
		one, err := p.replay(ctx, d)
		if err != nil {
			failure = err
			return false
		}
		out.Webhooks = append(out.Webhooks, one)
		return true
	})
	if err := errors.Join(failure, err); err != nil {
		return nil, problem.OfStream(err)
	}
	return out, nil
}
