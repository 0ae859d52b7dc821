package executor_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// replaceEvents replaces the stream of lifecycle events by a responder, until restore.
func replaceEvents(t *testing.T, n *testenv.Node, respond func(*nats.Msg)) (restore func()) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(n.Bus.JetStream().DeleteStream(t.Context(), n.Bus.Subjects.StreamName(events.Lifecycle)))
	nc := n.Env.Conn(t)
	sub, err := nc.Subscribe("hawser.event.>", func(m *nats.Msg) {
		if m.Reply != "" {
			respond(m)
		}
	})
	check(err)
	check(nc.Flush())
	return func() {
		check(sub.Unsubscribe())
		check(nc.Flush())
		_, err := n.Queue.Ensure(t.Context(), queue.Topology{})
		check(err)
	}
}

// unavailable answers a publish as a server does without a leader of the stream.
func unavailable(m *nats.Msg) {
	_ = m.Respond([]byte(`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`))
}

// A retry that came due before action.retrying was acknowledged shared the outcome of the
// attempt before it, and its message was acknowledged without any work.
func TestARetryThatIsDueBeforeTheEventOfItsFirstAttemptIsStoredIsNotLost(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(503, "busy"), answers(200, `{"done":true}`))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("GET")})
	replaceEvents(t, n, func(m *nats.Msg) {
		time.AfterFunc(2*time.Second, func() { _ = m.Respond([]byte(`{"stream":"HAWSER_EVENTS","seq":1}`)) })
	})
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "ask")), events.Header{"ce-id": {"r"}}, "")
	if got := results.Outcome(t); got.Code() != "" || p.calls() != 2 {
		t.Errorf("got %+v after %d calls, want a success after 2", got.Error, p.calls())
	}
}

func TestEventsAreStoredOnceTheirStreamIsAvailableAgain(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(503, "busy"), answers(200, `{}`))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("GET")})
	restore := replaceEvents(t, n, unavailable)
	results := n.Listen(t, "hawser.result.>")
	ref := testenv.Ref(ava, "probe", "ask")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
	// The retry is postponed for want of the event of the first attempt.
	testenv.Eventually(t, "the request is parked with the event to publish", func() bool {
		parked, err := n.Queue.Streams.First(t.Context(), queue.Parked, 1, n.Queue.Subjects.Parked(ref, "r"))
		return err == nil && parked.Header.Get(events.HeaderEventPending) != ""
	})
	restore()
	if got := results.Outcome(t); got.Code() != "" {
		t.Errorf("got %+v", got.Error)
	}
	waitEmpty(t, n, queue.Parked)
	want := map[string]int{
		n.Bus.Subjects.Event(ava, "probe", events.ActionStarted): 1, n.Bus.Subjects.Event(ava, "probe", events.ActionRetrying): 1,
		n.Bus.Subjects.Event(ava, "probe", events.ActionCompleted): 1,
	}
	if diff := cmp.Diff(want, stored(t, n)); diff != "" || p.calls() != 2 {
		t.Errorf("%d calls; events (-want +got):\n%s", p.calls(), diff)
	}
}

// stored counts the lifecycle events by their subject.
func stored(t *testing.T, n *testenv.Node) map[string]int {
	t.Helper()
	subjects, err := n.Queue.Streams.SubjectCounts(t.Context(), events.Lifecycle, "hawser.event.*.*.*.action.>")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for subject, count := range subjects {
		counts[subject] = int(count)
	}
	return counts
}

func TestAResultWithoutItsEventDoesNotRunTheActionAgain(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(200, `{}`))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("GET")})
	restore := replaceEvents(t, n, unavailable)
	results := n.Listen(t, "hawser.result.>")
	ref := testenv.Ref(ava, "probe", "ask")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
	results.Outcome(t)
	testenv.Eventually(t, "the request is parked", func() bool { return n.Count(t, queue.Parked, n.Queue.Subjects.Parked(ref, "r")) == 1 })
	restore()
	waitEmpty(t, n, queue.Parked)
	waitEmpty(t, n, events.Actions)
	want := map[string]int{n.Bus.Subjects.Event(ava, "probe", events.ActionCompleted): 1}
	if diff := cmp.Diff(want, stored(t, n)); diff != "" || p.calls() != 1 || results.Left() != 0 {
		t.Errorf("%d calls and %d more results; events (-want +got):\n%s", p.calls(), results.Left(), diff)
	}
}

// A result may be stored by an executor that ends before its event is.
func TestAStoredResultWithoutAnEventGetsItsEvent(t *testing.T) {
	t.Parallel()
	storeResult := func(t *testing.T, n *testenv.Node, ref events.ActionRef) string {
		t.Helper()
		result := events.New("executor", "hawser.action.failed", events.EventContext{Tenant: ava, Connector: ref.Connector, RequestID: "r"}, []byte(`{"error":{"code":"CONNECTOR_ACTION_FAILED","message":"no"}}`))
		id := result.ID()
		if _, err := n.Bus.Publish(t.Context(), n.Bus.Subjects.Result(ref, "r"), result, nil); err != nil {
			t.Fatal(err)
		}
		return events.DerivedID(id, "announced")
	}
	publish := func(t *testing.T, n *testenv.Node, ref events.ActionRef) *events.StoredMessage {
		t.Helper()
		n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "{}")
		message, err := n.Queue.Streams.First(t.Context(), events.Actions, 1, n.Bus.Subjects.Action(ref))
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	for name, run := range map[string]func(*testing.T, *testenv.Node) (events.ActionRef, string){
		"an executor that ran the action too": func(t *testing.T, n *testenv.Node) (events.ActionRef, string) {
			ref := testenv.Ref(ava, "probe", "act")
			n.Connect(t, ava, "probe", key)
			n.StartExecutor(t, nil)
			publish(t, n, ref)
			testenv.Eventually(t, "the action runs", func() bool {
				return n.Count(t, events.Lifecycle, n.Bus.Subjects.Event(ava, "probe", events.ActionStarted)) == 1
			})
			return ref, storeResult(t, n, ref)
		},
		"a redelivery": func(t *testing.T, n *testenv.Node) (events.ActionRef, string) {
			ref := testenv.Ref(ava, "probe", "act")
			n.Connect(t, ava, "probe", key)
			publish(t, n, ref)
			id := storeResult(t, n, ref)
			deliverUnacknowledged(t, n, 1)
			n.StartExecutor(t, nil)
			return ref, id
		},
		"the maximum of deliveries": func(t *testing.T, n *testenv.Node) (events.ActionRef, string) {
			ref := testenv.Ref(ava, "ghost", "walk")
			message := publish(t, n, ref)
			id := storeResult(t, n, ref)
			n.StartExecutor(t, &executor.Options{UnservedAfter: time.Hour})
			adviseMaxDeliveries(t, n, message)
			return ref, id
		},
		"the sweep": func(t *testing.T, n *testenv.Node) (events.ActionRef, string) {
			ref := testenv.Ref(ava, "ghost", "walk")
			publish(t, n, ref)
			id := storeResult(t, n, ref)
			n.StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
			return ref, id
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var running atomic.Int32
			release := make(chan struct{})
			n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", blocking("act", &running, release))}})
			failed := n.Listen(t, "hawser.event.*.*.*.action.failed")
			ref, id := run(t, n)
			close(release)
			if e := failed.Event(t); e.ID() != id {
				t.Errorf("the event has the id %s, want %s", e.ID(), id)
			}
			waitEmpty(t, n, events.Actions)
			if got := stored(t, n)[n.Bus.Subjects.Event(ava, ref.Connector, events.ActionFailed)]; got != 1 || failed.Left() != 0 {
				t.Errorf("%d events of the end are stored, and %d more were published, want 1 and none", got, failed.Left())
			}
			if got := n.Count(t, events.Results, ">") + n.Count(t, queue.Dead, ">"); got != 1 {
				t.Errorf("%d results and dead letters, want 1 result", got)
			}
		})
	}
}
