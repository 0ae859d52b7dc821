package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// calls is every call that waits for the server.
func calls(q *queue.Queue) map[string]func(context.Context) error {
	subject := q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred)
	return map[string]func(context.Context) error{
		"Publish": func(ctx context.Context) error {
			_, err := q.Bus.Publish(ctx, subject, lifecycle(events.ErrorOccurred), nil)
			return err
		},
		"PublishAction": func(ctx context.Context) error { return q.Bus.PublishAction(ctx, request("1")) },
		"Park":          func(ctx context.Context) error { return q.Park(ctx, request("1"), time.Now()) },
		"DeadLetter":    func(ctx context.Context) error { return q.DeadLetter(ctx, request("1"), "X") },
		"Request":       func(ctx context.Context) error { _, err := q.Bus.RequestAction(ctx, request("1")); return err },
		"ResultOf":      func(ctx context.Context) error { _, err := q.Bus.ResultOf(ctx, request("1")); return err },
		"StoredResult":  func(ctx context.Context) error { _, err := q.Bus.StoredResult(ctx, "1", ""); return err },
		"Subjects": func(ctx context.Context) error {
			_, err := q.Streams.SubjectCounts(ctx, events.Actions, ">")
			return err
		},
		"State":   func(ctx context.Context) error { _, err := q.Streams.State(ctx, events.Actions); return err },
		"First":   func(ctx context.Context) error { _, err := q.Streams.First(ctx, events.Actions, 1, ">"); return err },
		"Message": func(ctx context.Context) error { _, err := q.Streams.Message(ctx, events.Actions, 1); return err },
		"Remove":  func(ctx context.Context) error { return q.Streams.Remove(ctx, events.Actions, 1) },
		"Ping":    func(ctx context.Context) error { return q.Bus.Ping(ctx) },
		"EnsureConsumer": func(ctx context.Context) error {
			return q.Bus.EnsureConsumer(ctx, events.Consumer{Name: "x", Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter("x")})
		},
	}
}

func wantUnavailable(t *testing.T, q *queue.Queue, within time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	for name, call := range calls(q) {
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

func wantAvailable(t *testing.T, q *queue.Queue) {
	t.Helper()
	for name, call := range calls(q) {
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
	env, q := start(t)
	if err := env.Stop(); err != nil {
		t.Fatal(err)
	}
	// Until the client has noticed, a call may be sent, and waits for its deadline.
	waitFor(t, "the client to notice", func() bool { return !q.Bus.JetStream().Conn().IsConnected() })
	wantUnavailable(t, q, time.Second)
	env.Restart(t)
	wantAvailable(t, q)
}

// A server that is paused answers nothing, and its connections stay open.
func TestCallsToAPausedServerFailWithinTheDeadlineAndRecover(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	q, proxy := proxied(t, env)
	ensure(t, q, queue.Topology{})
	for name, call := range calls(q) { // handles are made at the first use
		if name != "Request" {
			_ = call(t.Context())
		}
	}
	proxy.Pause()
	wantUnavailable(t, q, events.DefaultPublishTimeout+time.Second)
	proxy.Resume()
	wantAvailable(t, q)
}

func TestManyPublishersToAPausedServerAreAllToldInTime(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	q, proxy := proxied(t, env)
	ensure(t, q, queue.Topology{})
	proxy.Pause()
	body := make([]byte, 64<<10)
	var running sync.WaitGroup
	for range 256 {
		running.Go(func() {
			began := time.Now()
			_, err := q.Bus.Publish(t.Context(), q.Bus.Subjects.Webhook(ava, "demo-key", "x", "d1"), events.New("ingress", "t", events.EventContext{Tenant: ava, Connector: "c"}, body), nil)
			if took := time.Since(began); !errors.Is(err, events.ErrUnavailable) || took > 5*time.Second {
				t.Errorf("got %v after %v", err, took)
			}
		})
	}
	running.Wait()
	proxy.Resume()
	wantAvailable(t, q)
}

func TestTheCallersDeadlineCounts(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	q, proxy := proxied(t, env)
	ensure(t, q, queue.Topology{})
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := q.Bus.Publish(ctx, q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred), lifecycle(events.ErrorOccurred), nil)
	if !errors.Is(err, events.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	wantError(t, "Flush", q.Bus.Flush(ctx), events.ErrUnavailable)
}

// What waits for an ack when the connection breaks fails at once, not after
// its deadline.
func TestABrokenConnectionFailsWhatWaits(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	q, proxy := proxied(t, env)
	ensure(t, q, queue.Topology{})
	proxy.Pause()
	p, err := q.Bus.PublishAsync(t.Context(), q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred), lifecycle(events.ErrorOccurred), nil)
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
	wantAvailable(t, q)
	if err := q.Bus.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

func TestADeletedStreamIsMadeAgainByWhoeverPublishes(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	subject := q.Bus.Subjects.Webhook(ava, "demo-key", "x", "d1")
	if err := q.Bus.JetStream().DeleteStream(t.Context(), q.Bus.Subjects.StreamName(events.Webhooks)); err != nil {
		t.Fatal(err)
	}
	_, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil)
	wantError(t, "the first publish", err, events.ErrUnavailable)
	wantError(t, "the first publish", err, queue.ErrStreamRecreated)
	if _, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil); err != nil {
		t.Errorf("the second publish: %v", err)
	}
	if c := configOf(t, q, events.Webhooks); c.MaxMsgsPerSubject != 1 {
		t.Errorf("made again with %d messages a subject", c.MaxMsgsPerSubject)
	}
}

func TestABusThatEnsuredNothingMakesNoStreams(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.Start(t, nil).Conn(t))
	_, err := q.Bus.Publish(t.Context(), q.Bus.Subjects.Webhook(ava, "demo-key", "x", "d1"), lifecycle(events.WebhookReceived), nil)
	wantError(t, "publish", err, events.ErrUnavailable)
	if errors.Is(err, queue.ErrStreamRecreated) {
		t.Errorf("got %v", err)
	}
	if _, err := q.Bus.JetStream().Stream(t.Context(), q.Bus.Subjects.StreamName(events.Webhooks)); err == nil {
		t.Error("a stream was made")
	}
}
