package executor_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// What waited for its time while its connector went away must not lie for ever.
func TestTheSweepEndsParkedMessagesOfARemovedConnector(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	results, failed := n.Listen(t, "hawser.result.>"), n.Listen(t, "hawser.event.*.*.*.webhook.failed")
	park := func(id string, attempts int) {
		a := events.Action{ActionRef: testenv.Ref(ava, "ghost", "walk"), ID: id, Attempt: attempts, Input: []byte(`{}`)}
		if err := n.Queue.Park(t.Context(), a, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	park("postponed", 0)
	park("attempted", 2)
	hook := events.New("ingress", "hawser.webhook.moved", events.EventContext{Tenant: ava, Connector: "ghost", Account: "default"}, []byte(`{}`))
	n.Publish(t, n.Bus.Subjects.Webhook(ava, "ghost", "moved", "d1"), hook.Header, string(hook.Data))
	stored, err := n.Queue.Streams.First(t.Context(), events.Webhooks, 1, n.Bus.Subjects.Webhooks())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Queue.ParkWebhook(t.Context(), stored, hook.ID(), 1, time.Now()); err != nil {
		t.Fatal(err)
	}
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	for range 2 {
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorNotFound {
			t.Errorf("%s: got %v, want CONNECTOR_NOT_FOUND", got.ID, got.Error)
		}
	}
	if e := failed.Event(t); e.Type() != "hawser.webhook.failed" || events.Extension(e, events.ExtConnector) != "ghost" {
		t.Errorf("event %s of %s", e.Type(), events.Extension(e, events.ExtConnector))
	}
	waitEmpty(t, n, queue.Parked)
	for filter, want := range map[string]int{"hawser.dead.action.>": 1, "hawser.dead.webhook.>": 1} {
		if got := n.Count(t, queue.Dead, filter); got != want {
			t.Errorf("%d dead letters on %s, want %d", got, filter, want)
		}
	}
}

func TestTheSweepKeepsMessagesOfARegisteredConnector(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "")}})
	if err := n.Definitions.Publish(t.Context(), n.Registry.All()); err != nil {
		t.Fatal(err)
	}
	other := *n
	other.Registry = connectors.NewRegistry() // an executor of other connectors
	if err := n.Queue.Park(t.Context(), events.Action{ActionRef: testenv.Ref(ava, "probe", "noop"), ID: "1", Attempt: 1}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := n.Queue.Park(t.Context(), events.Action{ActionRef: testenv.Ref(ava, "ghost", "walk"), ID: "2"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	results := n.Listen(t, "hawser.result.>")
	(&other).StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	if got := results.Outcome(t); got.ID != "2" {
		t.Errorf("the result of %s", got.ID)
	}
	testenv.Eventually(t, "the ghost's request is gone", func() bool { return n.Count(t, queue.Parked, "hawser.due.action.*.*.ghost.>") == 0 })
	if got := n.Count(t, queue.Parked, "hawser.due.action.*.*.probe.>"); got != 1 {
		t.Errorf("%d requests for the probe wait, want 1", got)
	}
}
