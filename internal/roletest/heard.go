package roletest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Heard is what a core subscriber hears on a filter, in order.
type Heard struct {
	next func(context.Context) (*events.StoredMessage, error)
	left func() int
}

// Listen hears everything on filter from now on.
func (n *Node) Listen(t testing.TB, filter string) *Heard {
	t.Helper()
	nc := n.Bus.JetStream().Conn()
	sub, err := nc.SubscribeSync(filter)
	check(t, err)
	check(t, sub.SetPendingLimits(-1, -1))
	check(t, nc.FlushWithContext(bounded(t)))
	return &Heard{
		next: func(ctx context.Context) (*events.StoredMessage, error) {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				return nil, err
			}
			return &events.StoredMessage{Subject: m.Subject, Header: m.Header, Data: m.Data}, nil
		},
		left: func() int {
			check(t, nc.FlushWithContext(bounded(t)))
			count, _, err := sub.Pending()
			check(t, err)
			return count
		},
	}
}

// Message returns the next message.
func (h *Heard) Message(t testing.TB) *events.StoredMessage {
	t.Helper()
	d, err := h.next(bounded(t))
	if err != nil {
		t.Fatalf("nothing (more) was heard: %v", err)
	}
	return d
}

// Event returns the next message as a CloudEvent.
func (h *Heard) Event(t testing.TB) events.Event {
	t.Helper()
	d := h.Message(t)
	e, err := events.Decode(d.Header, d.Data)
	if err != nil {
		t.Fatalf("heard no CloudEvent on %s: %v", d.Subject, err)
	}
	return e
}

// Left is how many messages were heard and not returned yet.
func (h *Heard) Left() int { return h.left() }

// Outcome is what a result holds.
type Outcome struct {
	Type  string
	ID    string // of the request
	Data  json.RawMessage
	Error *connectors.Error
}

// OutcomeOf reads a result.
func OutcomeOf(t testing.TB, e events.Event) Outcome {
	t.Helper()
	o := Outcome{Type: e.Type(), ID: events.Extension(e, events.ExtRequest)}
	check(t, json.Unmarshal(e.Data(), &struct {
		Data  *json.RawMessage   `json:"data"`
		Error **connectors.Error `json:"error"`
	}{&o.Data, &o.Error}))
	return o
}

// Code is the error's code, "" for a success.
func (o Outcome) Code() connectors.Code {
	if o.Error == nil {
		return ""
	}
	return o.Error.Code
}

// Outcome returns the next message as a result.
func (h *Heard) Outcome(t testing.TB) Outcome {
	t.Helper()
	return OutcomeOf(t, h.Event(t))
}

// Publish sends a raw message and waits until the server has it.
func (n *Node) Publish(t testing.TB, subject string, header events.Header, data string) {
	t.Helper()
	_, err := n.Bus.Publish(bounded(t), subject, &events.Message{Header: header, Data: []byte(data)}, nil)
	check(t, err)
}

// Count is how many messages a stream holds on subjects that match filter.
func (n *Node) Count(t testing.TB, s events.Stream, filter string) int {
	t.Helper()
	subjects, err := n.Queue.Streams.SubjectCounts(bounded(t), s, filter)
	check(t, err)
	total := 0
	for _, count := range subjects {
		total += int(count)
	}
	return total
}

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
	t.Cleanup(cancel)
	return ctx
}
