package executor

import (
	"cmp"
	"context"
	"errors"

	"github.com/hawser-io/hawser/pkg/events"
)

// lifecycle publishes lifecycle events.
type lifecycle struct {
	bus               *events.Bus
	role              string
	skipNotifications bool
	telemetry         *telemetry
}

// lifecycleEvent is one event to publish.
type lifecycleEvent struct {
	kind  events.Kind
	about events.EventContext
	data  events.Data
	id    string // default: a new one
	once  string // the stream drops a repetition with the same text, default the id
}

// notify publishes an event without waiting for the stream's ack. It is for events that
// say nothing that is not stored elsewhere.
func (l *lifecycle) notify(ctx context.Context, e lifecycleEvent) {
	if l.skipNotifications {
		return
	}
	var opts *events.PublishOptions
	if e.id != "" {
		opts = &events.PublishOptions{MsgID: e.messageID(e.id)}
	}
	if err := l.bus.Notify(ctx, l.bus.Subjects.Event(e.about.Tenant, e.about.Connector, e.kind), l.message(e), opts); err != nil {
		l.telemetry.problem(err)
	}
}

// store publishes an event and returns when the stream has it. The stream drops a
// repetition within its duplicate window. The error says that the stream is unavailable;
// an event that no stream will ever take is logged.
func (l *lifecycle) store(ctx context.Context, e lifecycleEvent) error {
	m := l.message(e)
	opts := &events.PublishOptions{MsgID: e.messageID(cmp.Or(e.once, m.ID()))}
	_, err := l.bus.Publish(ctx, l.bus.Subjects.Event(e.about.Tenant, e.about.Connector, e.kind), m, opts)
	if err != nil && !errors.Is(err, events.ErrUnavailable) {
		l.telemetry.problem(err)
		return nil
	}
	return err
}

// messageID returns a message id that no other tenant's event has.
func (e lifecycleEvent) messageID(id string) string {
	return e.about.Tenant.Tokens() + "." + events.Token(e.about.Connector) + "/" + id
}

func (l *lifecycle) message(e lifecycleEvent) *events.Message {
	m := events.NewLifecycle(l.role, e.kind, e.about, e.data)
	if e.id != "" {
		m.SetID(e.id)
	}
	return m
}
