package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestConsumeHandsOutEachMessageAndAcknowledgesIt(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	const n = 300
	for i := range n {
		publishAction(t, q, request(fmt.Sprint(i)))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error {
		mu.Lock()
		defer mu.Unlock()
		seen[d.Header.Get("ce-id")]++
		if d.NumDelivered != 1 || d.Sequence == 0 || d.Stored.IsZero() || string(d.Data) != `{"text":"hello"}` {
			t.Errorf("delivery %+v", d)
		}
		return nil
	})
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("request %d was handed out %d times", i, seen[fmt.Sprint(i)])
		}
	}
}

func TestADiscardedMessageNeverComesAgain(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("bad"))
	var times atomic.Int32
	stop := consume(t, q, requests(t, q), func(context.Context, *events.StoredMessage) error {
		times.Add(1)
		return fmt.Errorf("wrapped: %w", events.Discard(nil))
	})
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	stop()
	if times.Load() != 1 {
		t.Errorf("handed out %d times", times.Load())
	}
}

func TestAgainComesAfterItsDelay(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	const delay = 300 * time.Millisecond
	times := make(chan time.Time, 4)
	consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error {
		times <- time.Now()
		if d.NumDelivered == 1 {
			return events.RetryIn(delay, errors.New("not yet"))
		}
		return nil
	})
	first, second := testenv.Receive(t, "the first delivery", times), testenv.Receive(t, "the second delivery", times)
	if waited := second.Sub(first); waited < delay {
		t.Errorf("came again after %v, want %v at least", waited, delay)
	}
}

func TestFailuresAndPanicsComeAgainAndAreTold(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	const canary = "c4n4ry"
	fail := map[string]func() error{
		"error": func() error { return errors.New("boom") },
		"panic": func() error { panic(canary) },
		"nil":   func() error { var d *events.StoredMessage; return errors.New(d.Subject) },
	}
	errs, done := make(chan error, 8), make(chan int, 8)
	c := requests(t, q)
	c.OnError = func(err error) { errs <- err }
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error {
		if d.NumDelivered == 1 {
			return fail[d.Header.Get("ce-id")]()
		}
		done <- d.NumDelivered
		return nil
	})
	for name := range fail {
		publishAction(t, q, request(name))
		if attempt := testenv.Receive(t, "the second delivery", done); attempt != 2 {
			t.Errorf("%s: attempt %d", name, attempt)
		}
		err := testenv.Receive(t, "the report", errs)
		if isPanic := name != "error"; errors.Is(err, events.ErrPanic) != isPanic || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: OnError got %v", name, err)
		}
		if name != "error" && !strings.Contains(err.Error(), "consume_test.go:") {
			t.Errorf("%s: OnError got %v, want the position", name, err)
		}
	}
}

func TestSlotsBoundWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	const n, most = 60, 3
	for i := range n {
		publishAction(t, q, request(fmt.Sprint(i)))
	}
	var running, peak atomic.Int32
	full := make(chan struct{})
	fill := sync.OnceFunc(func() { close(full) })
	c := requests(t, q)
	c.MaxConcurrent = most
	consume(t, q, c, func(ctx context.Context, _ *events.StoredMessage) error {
		now := running.Add(1)
		defer running.Add(-1)
		for old := peak.Load(); now > old && !peak.CompareAndSwap(old, now); old = peak.Load() {
		}
		if now == most {
			fill()
		}
		testenv.Receive(t, "a handler for every slot", full)
		return q.Bus.Ping(ctx) // takes a while
	})
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	if peak.Load() != most {
		t.Errorf("%d ran at once, want %d", peak.Load(), most)
	}
}

func TestAProcessTakesNoMoreThanItCanWorkOn(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for i := range 10 {
		publishAction(t, q, request(fmt.Sprint(i)))
	}
	c := requests(t, q)
	c.MaxConcurrent = 2
	busy, release := make(chan struct{}, 10), make(chan struct{})
	stop := consume(t, q, c, func(context.Context, *events.StoredMessage) error {
		busy <- struct{}{}
		<-release
		return nil
	})
	testenv.Receive(t, "a first handler", busy)
	testenv.Receive(t, "a second handler", busy)
	// Another process gets the rest at once, long before the AckWait of 30 s.
	c.MaxConcurrent = 8
	got := make(chan string, 16)
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error { got <- d.Header.Get("ce-id"); return nil })
	for range 8 {
		testenv.Receive(t, "a message for the other process", got)
	}
	close(release)
	stop()
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
}

// What the server had sent when a process stopped is handled there, and all else
// by others, long before the AckWait of 30 s.
func TestNoMessageLiesIdleInAProcessThatStopped(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := requests(t, q)
	busy, release, got := make(chan struct{}), make(chan struct{}), make(chan string, 8)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- q.Bus.Consume(ctx, t.Context(), c, func(_ context.Context, d *events.StoredMessage) error {
			if d.Header.Get("ce-id") == "first" {
				close(busy)
				<-release
				return nil
			}
			got <- d.Header.Get("ce-id")
			return nil
		})
	}()
	publishAction(t, q, request("first"))
	testenv.Receive(t, "the first handler", busy)
	stop()
	consume(t, q, c, func(_ context.Context, d *events.StoredMessage) error { got <- d.Header.Get("ce-id"); return nil })
	for i := range 6 {
		publishAction(t, q, request(fmt.Sprint("later-", i)))
	}
	for range 6 {
		testenv.Receive(t, "a message", got)
	}
	close(release)
	if err := testenv.Receive(t, "the end of the first process", stopped); err != nil {
		t.Error(err)
	}
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
}

func TestConsumeWaitsForHandlersAndTheirAcks(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	ctx, stop := context.WithCancel(t.Context())
	grace, endGrace := context.WithCancel(t.Context())
	defer endGrace()
	running, returned := make(chan struct{}), make(chan struct{})
	release := make(chan struct{})
	go func() {
		defer close(returned)
		if err := q.Bus.Consume(ctx, grace, requests(t, q), func(ctx context.Context, _ *events.StoredMessage) error {
			close(running)
			<-release
			if ctx.Err() != nil {
				t.Error("the handler's context ended with the taking, not with the grace")
			}
			return nil
		}); err != nil {
			t.Errorf("Consume: %v", err)
		}
	}()
	testenv.Receive(t, "the handler", running)
	stop()
	select {
	case <-returned:
		t.Error("Consume returned while a handler ran")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	testenv.Receive(t, "the end of Consume", returned)
	if got := state(t, q, events.Actions).Messages; got != 0 {
		t.Error("the ack was not sent before Consume returned")
	}
}

func TestTheEndOfGraceHandsTheMessageBack(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	ctx, stop := context.WithCancel(t.Context())
	grace, endGrace := context.WithCancel(t.Context())
	attempts := make(chan int, 4)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		_ = q.Bus.Consume(ctx, grace, requests(t, q), func(ctx context.Context, d *events.StoredMessage) error {
			attempts <- d.NumDelivered
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	testenv.Receive(t, "the handler", attempts)
	stop()
	endGrace()
	testenv.Receive(t, "the end of Consume", returned)
	consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error { attempts <- d.NumDelivered; return nil })
	if got := testenv.Receive(t, "the next delivery", attempts); got < 2 {
		t.Errorf("attempt %d, want a later one", got)
	}
}

func TestAPauseOfTheOperatorOutlivesRestarts(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := requests(t, q)
	if err := q.Bus.EnsureConsumer(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	stream, err := q.Bus.JetStream().Stream(t.Context(), q.Bus.Subjects.StreamName(events.Actions))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.PauseConsumer(t.Context(), c.Name, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := q.Bus.EnsureConsumer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := stream.Consumer(t.Context(), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := consumer.Info(t.Context()); err != nil || !info.Paused {
		t.Errorf("paused: %v, %v", info, err)
	}
}

func TestAConsumerIsAsItWasAskedFor(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	if err := q.Bus.EnsureConsumer(t.Context(), requests(t, q)); err != nil {
		t.Fatal(err)
	}
	consumer, err := q.Bus.JetStream().Consumer(t.Context(), q.Bus.Subjects.StreamName(events.Actions), "action-demo-key")
	if err != nil {
		t.Fatal(err)
	}
	c := consumer.CachedInfo().Config
	if c.AckWait != 30*time.Second || c.MaxAckPending != 1000 || c.MaxDeliver != -1 || c.AckPolicy != jetstream.AckExplicitPolicy ||
		c.FilterSubject != "hawser.action.*.*.demo-key.>" || len(c.BackOff) != 0 {
		t.Errorf("got %+v", c)
	}
}
