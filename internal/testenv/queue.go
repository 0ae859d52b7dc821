package testenv

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// StartQueue returns a server with all streams, and a queue on a connection that fails at
// once while the server is away.
func StartQueue(t testing.TB) (*Env, *queue.Queue) {
	t.Helper()
	env := Start(t, nil)
	q := QueueOn(t, env.Conn(t, nats.ReconnectBufSize(-1)))
	EnsureQueue(t, q, queue.Topology{})
	return env, q
}

// QueueOn returns a queue that waits [MaxWait] for an ack, because machines that run tests
// are busy.
func QueueOn(t testing.TB, nc *nats.Conn) *queue.Queue {
	t.Helper()
	return QueueWith(t, nc, &queue.Options{PublishTimeout: MaxWait})
}

// QueueWith returns a queue with options.
func QueueWith(t testing.TB, nc *nats.Conn, opts *queue.Options) *queue.Queue {
	t.Helper()
	q, err := queue.New(nc, opts)
	Must(t, err)
	return q
}

// EnsureQueue creates and updates the streams.
func EnsureQueue(t testing.TB, q *queue.Queue, topology queue.Topology) []queue.Drift {
	t.Helper()
	drift, err := q.Ensure(Bounded(t), topology)
	Must(t, err)
	return drift
}

// ProxiedQueue returns a queue that is connected as Hawser's programs are, through a proxy.
func ProxiedQueue(t testing.TB, env *Env) (*queue.Queue, *Proxy) {
	t.Helper()
	proxy := NewProxy(t, env.URL())
	nc, err := nats.Connect(proxy.URL(), append(events.ConnectOptions("test"),
		nats.UserCredentials(env.Server().CredsPath()), nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	mustConn(t, nc, err)
	Eventually(t, "connected", nc.IsConnected)
	return QueueWith(t, nc, nil), proxy
}

// Consume runs a consumer until stop is called, or the test ends.
func Consume(t testing.TB, q *queue.Queue, c events.Consumer, handle func(context.Context, *events.StoredMessage) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := q.Bus.Consume(ctx, context.WithoutCancel(ctx), c, handle); err != nil {
			t.Errorf("Consume: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		// The deletion ends a pull request at once, which would last until it expires.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = q.Bus.JetStream().DeleteConsumer(ctx, q.Bus.Subjects.StreamName(c.Stream), c.Name)
		running.Wait()
	})
	return func() { cancel(); running.Wait() }
}

// Receive returns the next value of a channel.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-Bounded(t).Done():
		t.Fatalf("not after %v: %s", MaxWait, what)
	}
	panic("unreachable")
}

// WantError fails the test if err is not want.
func WantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}
