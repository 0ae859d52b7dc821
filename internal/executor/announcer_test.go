package executor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/roletest"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// announcing starts an announcer on a connection of its own.
func announcing(t *testing.T, n *roletest.Node) (a executor.Announcer, nc *nats.Conn, run func()) {
	t.Helper()
	nc, err := nats.Connect(n.Env.URL(), append(events.ConnectOptions("announcer"), nats.UserCredentials(n.Env.Server().CredsPath()))...)
	if err != nil {
		t.Fatal(err)
	}
	bus, err := events.NewBus(nc, &events.Options{PublishTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	a = executor.NewAnnouncer(bus)
	stop, ended := make(chan struct{}), make(chan struct{})
	run = func() { go func() { defer close(ended); a.Run(stop) }() }
	t.Cleanup(func() { close(stop); <-ended; nc.Close() })
	return a, nc, run
}

func lifecycle(text string) *events.Message {
	return events.NewLifecycle("executor", events.ActionCompleted, events.About{Tenant: roletest.Org("o"), Connector: "probe"}, events.Data{Action: text})
}

func TestWhatWaitsForAnAckGoesOutTogetherAndInItsOrder(t *testing.T) {
	t.Parallel()
	const many = 100
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "")}})
	heard := n.Listen(t, "hawser.event.organization.o.>")
	a, nc, run := announcing(t, n)
	before := n.Count(t, events.Lifecycle, "hawser.event.organization.o.>")
	var waits []func(context.Context) error
	for k := range many {
		opts := &events.PublishOptions{}
		if k%2 == 0 {
			opts.MsgID = fmt.Sprint("o.probe/", k)
		}
		waits = append(waits, a.Announce(t.Context(), n.Bus.Event(roletest.Org("o"), "probe", events.ActionCompleted), lifecycle(fmt.Sprint(k)), opts))
	}
	run()
	for k, wait := range waits {
		if err := wait(t.Context()); err != nil {
			t.Fatalf("%d: %v", k, err)
		}
	}
	if got := n.Count(t, events.Lifecycle, "hawser.event.organization.o.>") - before; got != many {
		t.Errorf("the stream has %d, want %d", got, many)
	}
	for k := range many {
		var data events.Data
		if e := heard.Event(t); e.DataAs(&data) != nil || data.Action != fmt.Sprint(k) {
			t.Fatalf("event %d is %s", k, e.Data())
		}
	}
	if acks := nc.Stats().InMsgs; acks > 5 {
		t.Errorf("%d messages came back for %d events, want one ack for all", acks, many)
	}
}

// While a stream has no leader nobody answers for it: what was sent meanwhile is
// gone, and an ack of what comes after must not stand for it.
func TestWhatNobodyAnsweredForIsPublishedAgain(t *testing.T) {
	t.Parallel()
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "")}})
	a, nc, run := announcing(t, n)
	stream, err := n.Bus.JetStream().Stream(t.Context(), n.Bus.Stream(events.Lifecycle))
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if err := n.Bus.JetStream().DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	const many = 10
	var waits []func(context.Context) error
	for k := range many {
		opts := &events.PublishOptions{MsgID: fmt.Sprint("o.probe/", k)}
		waits = append(waits, a.Announce(t.Context(), n.Bus.Event(roletest.Org("o"), "probe", events.ActionCompleted), lifecycle(fmt.Sprint(k)), opts))
	}
	before := nc.Stats().OutMsgs
	run()
	eventually(t, "all are sent", func() bool { return nc.Stats().OutMsgs >= before+many })
	// Each is tried again for a moment; the stream is back by then.
	if _, err := n.Bus.JetStream().CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for k, wait := range waits {
		if err := wait(t.Context()); err != nil {
			t.Errorf("%d: %v", k, err)
		}
	}
	if got := n.Count(t, events.Lifecycle, "hawser.event.organization.o.>"); got != many {
		t.Errorf("the stream has %d, want %d", got, many)
	}
}

func TestWhoeverAnnouncesLearnsThatTheStreamDidNotTakeIt(t *testing.T) {
	t.Parallel()
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "")}})
	a, nc, run := announcing(t, n)
	subject := n.Bus.Event(roletest.Org("o"), "probe", events.ActionCompleted)
	leaving, leave := context.WithCancel(t.Context())
	leave()
	if err := a.Announce(t.Context(), subject, lifecycle("x"), &events.PublishOptions{})(leaving); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that whoever leaves does not wait", err)
	}
	wait := a.Announce(t.Context(), subject, lifecycle("y"), &events.PublishOptions{})
	nc.Close()
	run()
	if err := wait(t.Context()); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("got %v, want that the stream could not be had", err)
	}
}
