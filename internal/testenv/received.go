package testenv

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Received is what a core subscription has received, in order.
type Received struct {
	next func(context.Context) (*events.StoredMessage, error)
	left func() int
}

// Listen subscribes to filter.
func (n *Node) Listen(t testing.TB, filter string) *Received {
	t.Helper()
	nc := n.Bus.JetStream().Conn()
	sub, err := nc.SubscribeSync(filter)
	Must(t, err)
	Must(t, sub.SetPendingLimits(-1, -1))
	Must(t, nc.FlushWithContext(Bounded(t)))
	return &Received{
		next: func(ctx context.Context) (*events.StoredMessage, error) {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				return nil, err
			}
			return &events.StoredMessage{Subject: m.Subject, Header: m.Header, Data: m.Data}, nil
		},
		left: func() int {
			Must(t, nc.FlushWithContext(Bounded(t)))
			count, _, err := sub.Pending()
			Must(t, err)
			return count
		},
	}
}

// Message returns the next message.
func (r *Received) Message(t testing.TB) *events.StoredMessage {
	t.Helper()
	d, err := r.next(Bounded(t))
	if err != nil {
		t.Fatalf("no (further) message was received: %v", err)
	}
	return d
}

// Event returns the next message as a CloudEvent.
func (r *Received) Event(t testing.TB) events.Event {
	t.Helper()
	d := r.Message(t)
	e, err := events.Decode(d.Header, d.Data)
	if err != nil {
		t.Fatalf("received no CloudEvent on %s: %v", d.Subject, err)
	}
	return e
}

// Left is how many messages were received and not returned yet.
func (r *Received) Left() int { return r.left() }

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
	Must(t, json.Unmarshal(e.Data(), &struct {
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
func (r *Received) Outcome(t testing.TB) Outcome {
	t.Helper()
	return OutcomeOf(t, r.Event(t))
}

// Publish sends a raw message and waits until the server has it.
func (n *Node) Publish(t testing.TB, subject string, header events.Header, data string) {
	t.Helper()
	_, err := n.Bus.Publish(Bounded(t), subject, &events.Message{Header: header, Data: []byte(data)}, nil)
	Must(t, err)
}

// Count is how many messages a stream holds on subjects that match filter.
func (n *Node) Count(t testing.TB, s events.Stream, filter string) int {
	t.Helper()
	subjects, err := n.Queue.Streams.SubjectCounts(Bounded(t), s, filter)
	Must(t, err)
	total := 0
	for _, count := range subjects {
		total += int(count)
	}
	return total
}
