package events_test

import (
	"flag"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestMain(m *testing.M) {
	// Most of what tests do here is wait, so more of them run at once than there
	// are processors. The flag -parallel still decides.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// A server that is stopped during a batch does not stop the batch's own store.
	const server = "github.com/nats-io/nats-server/v2/server"
	testenv.VerifyNoLeaks(m,
		goleak.IgnoreTopFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction(server+".(*msgBlock).flushLoop"),
		goleak.IgnoreTopFunction(server+"/ats.Register.func1"))
}

var (
	ava = events.Tenant{Scope: "organization", Identity: "ava@example.com"}
	bob = events.Tenant{Scope: "organization", Identity: "bob"}
)

// The test kit's names, as they are used here.
var (
	bounded   = testenv.Bounded
	start     = testenv.StartQueue
	queueOn   = testenv.QueueOn
	ensure    = testenv.EnsureQueue
	proxied   = testenv.ProxiedQueue
	waitFor   = testenv.Eventually
	consume   = testenv.Consume
	wantError = testenv.WantError
)

// refOf names an action of a tenant.
func refOf(t events.Tenant) events.ActionRef {
	return events.ActionRef{Tenant: t, Connector: "demo-key", Action: "postMessage"}
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
