package events_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// After the store was wiped, or somebody deleted a consumer or a stream, work
// goes on without a restart of the program (svix-webhooks#1844).
func TestConsumersAndStreamsThatAreDeletedComeBack(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	got, errs := make(chan string, 8), make(chan error, 64)
	c := requests(t, q)
	c.OnError = func(err error) { errs <- err }
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error { got <- d.Header.Get("ce-id"); return nil })
	publishAction(t, q, request("1"))
	testenv.Receive(t, "request 1", got)
	waitFor(t, "its ack", func() bool { return state(t, q, events.Actions).Messages == 0 })

	js := q.Bus.JetStream()
	if err := js.DeleteConsumer(t.Context(), q.Bus.Subjects.StreamName(events.Actions), c.Name); err != nil {
		t.Fatal(err)
	}
	publishAction(t, q, request("2"))
	if id := testenv.Receive(t, "the request after the consumer was deleted", got); id != "2" {
		t.Errorf("got request %s", id)
	}
	waitFor(t, "its ack", func() bool { return state(t, q, events.Actions).Messages == 0 })

	if err := js.DeleteStream(t.Context(), q.Bus.Subjects.StreamName(events.Actions)); err != nil {
		t.Fatal(err)
	}
	for err := testenv.Receive(t, "the loss to be reported", errs); !errors.Is(err, queue.ErrStreamRecreated); err = testenv.Receive(t, "the loss to be reported", errs) {
	}
	publishAction(t, q, request("3"))
	if id := testenv.Receive(t, "the request after the stream was deleted", got); id != "3" {
		t.Errorf("got request %s", id)
	}
}

func TestConsumeGoesOnAfterTheServerIsBack(t *testing.T) {
	t.Parallel()
	env, q := start(t)
	got := make(chan string, 8)
	consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error { got <- d.Header.Get("ce-id"); return nil })
	publishAction(t, q, request("1"))
	testenv.Receive(t, "request 1", got)
	for _, id := range []string{"2", "3"} {
		env.Restart(t)
		waitFor(t, "the request to be taken", func() bool { return q.Bus.PublishAction(t.Context(), request(id)) == nil })
		testenv.Receive(t, "a request after the restart", got)
	}
}

func TestConsumeGoesOnAfterTheNetworkIsBack(t *testing.T) {
	t.Parallel()
	env, publisher := start(t)
	q, proxy := proxied(t, env)
	got := make(chan string, 8)
	c := requests(t, q)
	c.AckWait = time.Second // after which what went down with the connection comes again
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error { got <- d.Header.Get("ce-id"); return nil })
	publishAction(t, publisher, request("1"))
	testenv.Receive(t, "request 1", got)
	proxy.Cut()
	publishAction(t, publisher, request("2"))
	testenv.Receive(t, "request 2", got)
	proxy.Pause()
	publishAction(t, publisher, request("3"))
	proxy.Resume()
	testenv.Receive(t, "request 3", got)
}

// A handler may work longer than AckWait: as long as its process lives, nobody
// else gets the message.
func TestLongHandlersKeepTheirMessage(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("slow"))
	c := requests(t, q)
	c.AckWait = 300 * time.Millisecond
	var times atomic.Int32
	finished := make(chan struct{})
	consume(t, q, c, func(context.Context, *events.StoredMessage) error {
		times.Add(1)
		<-time.After(5 * c.AckWait)
		close(finished)
		return nil
	})
	testenv.Receive(t, "the handler's end", finished)
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	if times.Load() != 1 {
		t.Errorf("handed out %d times", times.Load())
	}
}

// So does a message that waits in the process for a slot.
func TestAMessageThatWaitsForASlotIsKept(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := requests(t, q)
	c.AckWait, c.MaxConcurrent = 300*time.Millisecond, 1
	attempts := make(chan int, 8)
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error {
		attempts <- d.NumDelivered
		if d.Header.Get("ce-id") == "1" {
			<-time.After(4 * c.AckWait)
		}
		return nil
	})
	publishAction(t, q, request("1"))
	waitFor(t, "the first handler", func() bool { return len(attempts) == 1 })
	publishAction(t, q, request("2"))
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	if len(attempts) != 2 || <-attempts != 1 || <-attempts != 1 {
		t.Error("a message was handed out twice")
	}
}

// A beat that finds no connection does not end the beating.
func TestLongHandlersKeepTheirMessageOverABrokenConnection(t *testing.T) {
	t.Parallel()
	env, publisher := start(t)
	q, proxy := proxied(t, env)
	publishAction(t, publisher, request("slow"))
	c := requests(t, q)
	c.AckWait = 1500 * time.Millisecond
	var times atomic.Int32
	finished := make(chan struct{})
	consume(t, q, c, func(context.Context, *events.StoredMessage) error {
		if times.Add(1) > 1 {
			return nil
		}
		// Some beats meet a dead connection; it is up again well before AckWait.
		for range 20 {
			proxy.Cut()
			<-time.After(c.AckWait / 60)
		}
		<-time.After(2 * c.AckWait)
		close(finished)
		return nil
	})
	testenv.Receive(t, "the handler's end", finished)
	waitFor(t, "an empty queue", func() bool { return state(t, publisher, events.Actions).Messages == 0 })
	if times.Load() != 1 {
		t.Errorf("handed out %d times", times.Load())
	}
}

// What a dead process had in its hands comes to another after AckWait.
func TestAMessageOfADeadProcessComesToAnother(t *testing.T) {
	t.Parallel()
	env, q := start(t)
	publishAction(t, q, request("1"))
	c := requests(t, q)
	c.AckWait = 500 * time.Millisecond
	dying := env.Conn(t)
	taken := make(chan struct{})
	release := make(chan struct{})
	defer close(release)
	c.OnError = func(error) {}
	consume(t, queueOn(t, dying), c, func(context.Context, *events.StoredMessage) error {
		close(taken)
		<-release
		return nil
	})
	testenv.Receive(t, "the first handler", taken)
	dying.Close()
	attempts := make(chan int, 1)
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error { attempts <- d.NumDelivered; return nil })
	if got := testenv.Receive(t, "the second handler", attempts); got != 2 {
		t.Errorf("attempt %d, want 2", got)
	}
}

// When deliveries run out, the server says so on a stream of ours.
func TestTheServersLastWordIsKept(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	c := requests(t, q)
	c.MaxDeliver, c.OnError = 2, func(error) {}
	consume(t, q, c, func(context.Context, *events.StoredMessage) error { return events.RetryIn(time.Millisecond, nil) })
	waitFor(t, "the advisory", func() bool { return state(t, q, queue.Advisories).Messages == 1 })
	if got := state(t, q, events.Actions).Messages; got != 1 {
		t.Errorf("%d requests are there, want the one that ran out", got)
	}
}

func TestABusWithoutServerConsumesNothingAndStops(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	q, _ := proxied(t, env)
	if err := env.Stop(); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 64)
	c := requests(t, q)
	c.OnError = func(err error) { errs <- err }
	stop := consume(t, q, c, func(context.Context, *events.StoredMessage) error { return nil })
	wantError(t, "OnError", testenv.Receive(t, "the error", errs), events.ErrUnavailable)
	stop()
}
