package events_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// calls is every call that waits for the server.
func calls(bus *events.Bus) map[string]func(context.Context) error {
	subject := bus.Event(ava, "demo-key", events.ErrorOccurred)
	return map[string]func(context.Context) error{
		"Publish": func(ctx context.Context) error {
			_, err := bus.Publish(ctx, subject, lifecycle(events.ErrorOccurred), nil)
			return err
		},
		"PublishAction": func(ctx context.Context) error { return bus.PublishAction(ctx, request("1")) },
		"Park":          func(ctx context.Context) error { return bus.Park(ctx, request("1"), time.Now()) },
		"Bury":          func(ctx context.Context) error { return bus.Bury(ctx, request("1"), "X") },
		"Request":       func(ctx context.Context) error { _, err := bus.Request(ctx, request("1")); return err },
		"ResultOf":      func(ctx context.Context) error { _, err := bus.ResultOf(ctx, refOf(ava), "1"); return err },
		"StoredResult":  func(ctx context.Context) error { _, err := bus.StoredResult(ctx, "1"); return err },
		"Subjects":      func(ctx context.Context) error { _, err := bus.Subjects(ctx, events.Actions, ">"); return err },
		"State":         func(ctx context.Context) error { _, err := bus.State(ctx, events.Actions); return err },
		"First":         func(ctx context.Context) error { _, err := bus.First(ctx, events.Actions, 1, ">"); return err },
		"Message":       func(ctx context.Context) error { _, err := bus.Message(ctx, events.Actions, 1); return err },
		"Remove":        func(ctx context.Context) error { return bus.Remove(ctx, events.Actions, 1) },
		"Ping":          func(ctx context.Context) error { return bus.Ping(ctx) },
		"EnsureConsumer": func(ctx context.Context) error {
			return bus.EnsureConsumer(ctx, events.Consumer{Name: "x", Stream: events.Actions, Filter: bus.ActionFilter("x")})
		},
	}
}

func wantUnavailable(t *testing.T, bus *events.Bus, within time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	for name, call := range calls(bus) {
		running.Go(func() {
			began := time.Now()
			err := call(t.Context())
			if took := time.Since(began); !errors.Is(err, events.ErrUnavailable) || took > within {
				t.Errorf("%s: got %v after %v, want unavailable within %v", name, err, took, within)
			}
		})
	}
	running.Wait()
}

func wantAvailable(t *testing.T, bus *events.Bus) {
	t.Helper()
	for name, call := range calls(bus) {
		if name == "Request" {
			continue // nobody answers
		}
		waitFor(t, name, func() bool {
			err := call(t.Context())
			return err == nil || errors.Is(err, events.ErrNotFound)
		})
	}
}

func TestCallsToAStoppedServerFailAtOnceAndRecover(t *testing.T) {
	t.Parallel()
	env, bus := start(t)
	if err := env.Stop(); err != nil {
		t.Fatal(err)
	}
	// Until the client has noticed, a call may be sent, and waits for its deadline.
	waitFor(t, "the client to notice", func() bool { return !bus.JetStream().Conn().IsConnected() })
	wantUnavailable(t, bus, time.Second)
	env.Restart(t)
	wantAvailable(t, bus)
}

// A server that is paused answers nothing, and its connections stay open.
func TestCallsToAPausedServerFailWithinTheDeadlineAndRecover(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	bus, proxy := proxied(t, env)
	ensure(t, bus, events.Topology{})
	for name, call := range calls(bus) { // handles are made at the first use
		if name != "Request" {
			_ = call(t.Context())
		}
	}
	proxy.Pause()
	wantUnavailable(t, bus, events.DefaultPublishTimeout+time.Second)
	proxy.Resume()
	wantAvailable(t, bus)
}

func TestManyPublishersToAPausedServerAreAllToldInTime(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	bus, proxy := proxied(t, env)
	ensure(t, bus, events.Topology{})
	proxy.Pause()
	body := make([]byte, 64<<10)
	var running sync.WaitGroup
	for range 256 {
		running.Go(func() {
			began := time.Now()
			_, err := bus.Publish(t.Context(), bus.Webhook(ava, "demo-key", "x", "d1"), events.New("ingress", "t", events.About{Tenant: ava, Connector: "c"}, body), nil)
			if took := time.Since(began); !errors.Is(err, events.ErrUnavailable) || took > 5*time.Second {
				t.Errorf("got %v after %v", err, took)
			}
		})
	}
	running.Wait()
	proxy.Resume()
	wantAvailable(t, bus)
}

func TestTheCallersDeadlineCounts(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	bus, proxy := proxied(t, env)
	ensure(t, bus, events.Topology{})
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := bus.Publish(ctx, bus.Event(ava, "demo-key", events.ErrorOccurred), lifecycle(events.ErrorOccurred), nil)
	if !errors.Is(err, events.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	wantError(t, "Flush", bus.Flush(ctx), events.ErrUnavailable)
}

// What waits for an ack when the connection breaks is told at once, not after
// its deadline.
func TestABrokenConnectionFailsWhatWaits(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	bus, proxy := proxied(t, env)
	ensure(t, bus, events.Topology{})
	proxy.Pause()
	p, err := bus.PublishAsync(t.Context(), bus.Event(ava, "demo-key", events.ErrorOccurred), lifecycle(events.ErrorOccurred), nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	proxy.Cut()
	_, err = p.Wait(t.Context())
	if !errors.Is(err, events.ErrUnavailable) || time.Since(began) > events.DefaultPublishTimeout/2 {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	proxy.Resume()
	wantAvailable(t, bus)
	if err := bus.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

func TestADeletedStreamIsMadeAgainByWhoeverPublishes(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	subject := bus.Webhook(ava, "demo-key", "x", "d1")
	if err := bus.JetStream().DeleteStream(t.Context(), bus.Stream(events.Webhooks)); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil)
	wantError(t, "the first publish", err, events.ErrUnavailable)
	wantError(t, "the first publish", err, events.ErrStreamLost)
	if _, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil); err != nil {
		t.Errorf("the second publish: %v", err)
	}
	if c := configOf(t, bus, events.Webhooks); c.MaxMsgsPerSubject != 1 {
		t.Errorf("made again with %d messages a subject", c.MaxMsgsPerSubject)
	}
}

func TestABusThatEnsuredNothingMakesNoStreams(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	_, err := bus.Publish(t.Context(), bus.Webhook(ava, "demo-key", "x", "d1"), lifecycle(events.WebhookReceived), nil)
	wantError(t, "publish", err, events.ErrUnavailable)
	if errors.Is(err, events.ErrStreamLost) {
		t.Errorf("got %v", err)
	}
	if _, err := bus.JetStream().Stream(t.Context(), bus.Stream(events.Webhooks)); err == nil {
		t.Error("a stream was made")
	}
}
