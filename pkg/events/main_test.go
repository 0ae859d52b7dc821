package events_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	// Most of what tests do here is wait, so more of them run at once than there
	// are processors. The flag -parallel still decides.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// A server that is stopped during a batch does not stop the batch's own store.
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(server+".(*msgBlock).flushLoop"),
		goleak.IgnoreTopFunction(server+"/ats.Register.func1"))
}

var (
	ava = events.Tenant{Scope: "organization", Identity: "ava@example.com"}
	bob = events.Tenant{Scope: "organization", Identity: "bob"}
)

// refOf names an action of a tenant.
func refOf(t events.Tenant) events.ActionRef {
	return events.ActionRef{Tenant: t, Connector: "demo-key", Action: "postMessage"}
}

// waitLimit is how long a test waits for what must happen.
const waitLimit = 20 * time.Second

// patient bounds a test's waiting.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	t.Cleanup(cancel)
	return ctx
}

// start returns a server with all streams, and a q on a connection that fails
// at once while the server is away.
func start(t testing.TB) (*testenv.Env, *queue.Queue) {
	t.Helper()
	env := testenv.Start(t, nil)
	q := queueOn(t, env.Conn(t, nats.ReconnectBufSize(-1)))
	ensure(t, q, queue.Topology{})
	return env, q
}

// queueOn is a q that is patient: machines that test are busy. Those tests that
// are about its deadline use proxied.
func queueOn(t testing.TB, nc *nats.Conn) *queue.Queue {
	t.Helper()
	return queueWith(t, nc, &queue.Options{PublishTimeout: waitLimit})
}

func queueWith(t testing.TB, nc *nats.Conn, opts *queue.Options) *queue.Queue {
	t.Helper()
	q, err := queue.New(nc, opts)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func ensure(t testing.TB, q *queue.Queue, topology queue.Topology) []queue.Drift {
	t.Helper()
	drift, err := q.Ensure(bounded(t), topology)
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return drift
}

// proxied is a q whose network fails on command, as Hawser's programs connect.
func proxied(t testing.TB, env *testenv.Env) (*queue.Queue, *testenv.Proxy) {
	t.Helper()
	proxy := testenv.NewProxy(t, env.URL())
	nc, err := nats.Connect(proxy.URL(), append(events.ConnectOptions("test"),
		nats.UserCredentials(env.Server().CredsPath()), nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	t.Cleanup(func() { nc.Close(); <-closed })
	waitFor(t, "a connection", func() bool { return nc.IsConnected() })
	return queueWith(t, nc, nil), proxy
}

// waitFor asks again and again until it is so.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	ctx := bounded(t)
	for !so() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", waitLimit, what)
		}
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-bounded(t).Done():
		t.Fatalf("waited %v for %s", waitLimit, what)
	}
	panic("unreachable")
}

// consume runs a consumer until stop is called, at the latest by the cleanup.
func consume(t testing.TB, q *queue.Queue, c events.Consumer, handle func(context.Context, *events.StoredMessage) error) (stop func()) {
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
		// A pull on its way is answered at once, instead of at its end.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = q.Bus.JetStream().DeleteConsumer(ctx, q.Bus.Subjects.StreamName(c.Stream), c.Name)
		running.Wait()
	})
	return func() { cancel(); running.Wait() }
}

// requests is a consumer of the action requests for demo-key.
func requests(t testing.TB, q *queue.Queue) events.Consumer {
	return events.Consumer{
		Name: "action-demo-key", Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter("demo-key"), MaxConcurrent: 8,
		OnError: func(err error) { t.Logf("consumer: %v", err) },
	}
}

func publishAction(t testing.TB, q *queue.Queue, a events.Action) {
	t.Helper()
	if err := q.Bus.PublishAction(t.Context(), a); err != nil {
		t.Fatalf("PublishAction %s: %v", a.ID, err)
	}
}

// request is a request of ava's with an id.
func request(id string) events.Action {
	return events.Action{ActionRef: refOf(ava), ID: id, Account: "default", Input: []byte(`{"text":"hello"}`)}
}

func state(t testing.TB, q *queue.Queue, s events.Stream) queue.StreamState {
	t.Helper()
	st, err := q.Streams.State(t.Context(), s)
	if err != nil {
		t.Fatalf("State of %s: %v", s, err)
	}
	return st
}

// configOf is what the server says about a stream.
func configOf(t testing.TB, q *queue.Queue, s events.Stream) jetstream.StreamConfig {
	t.Helper()
	stream, err := q.Bus.JetStream().Stream(t.Context(), q.Bus.Subjects.StreamName(s))
	if err != nil {
		t.Fatalf("stream %s: %v", s, err)
	}
	return stream.CachedInfo().Config
}

// golden compares got with a file below testdata; -update writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); if that is meant, run go test -update:\n%s", path, diff)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}
