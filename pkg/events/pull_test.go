package events_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
)

// Tenants choose the headers of their requests, and may leave out the body.
func TestAMessageWithTheHeadersOfAServersWordIsAMessage(t *testing.T) {
	t.Parallel()
	env, bus := start(t)
	nc := env.Conn(t)
	got := make(chan string, 8)
	c := requests(t, bus)
	c.Most = 1 // each request for messages would be ended by the one before
	consume(t, bus, c, func(_ context.Context, d *events.Delivery) error { got <- d.Header.Get("Status"); return nil })
	for _, status := range []string{"100", "404", "408", "409", "503", "nonsense"} {
		msg := &nats.Msg{Subject: bus.Action(refOf(ava)), Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}}}
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		if heard := receive(t, "the message with status "+status, got); heard != status {
			t.Errorf("got %q, want %q", heard, status)
		}
	}
	waitFor(t, "their acks", func() bool { return state(t, bus, events.Actions).Messages == 0 })
}
