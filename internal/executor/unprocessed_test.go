package executor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// deliverUnacknowledged has a message delivered as to executors that end without an ack.
func deliverUnacknowledged(t *testing.T, n *testenv.Node, times int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	consumer := events.Consumer{
		Name: "action-probe", Stream: events.Actions, Filter: n.Bus.Subjects.ActionFilter("probe"), AckWait: 30 * time.Second, MaxConcurrent: 1,
	}
	err := n.Bus.Consume(ctx, ctx, consumer, func(_ context.Context, m *events.StoredMessage) error {
		if m.NumDelivered >= times {
			stop()
		}
		return events.RetryIn(0, context.Canceled)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// adviseMaxDeliveries publishes the server's advisory about a message.
func adviseMaxDeliveries(t *testing.T, n *testenv.Node, m *events.StoredMessage) {
	t.Helper()
	advisory := fmt.Sprintf(`{"stream":"HAWSER_ACTIONS","stream_seq":%d}`, m.Sequence)
	n.Publish(t, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HAWSER_ACTIONS.x", nil, advisory)
}

func TestARequestWhoseExecutorsEndAgainAndAgainFails(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "",
		connectors.Action{Key: "act", Idempotent: true, MaxAttempts: 2, Handler: testenv.Returns(`{}`)})}})
	n.Connect(t, ava, "probe", key)
	ref := testenv.Ref(ava, "probe", "act")
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
	deliverUnacknowledged(t, n, 2)
	n.StartExecutor(t, nil)
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionFailed {
		t.Errorf("got %+v", got.Error)
	}
	if got := n.Count(t, queue.Dead, n.Queue.Subjects.DeadAction(ref)); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
}

func TestAMessageThatReachedItsMaximumOfDeliveriesFails(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", echo())}})
	ref := testenv.Ref(ava, "ghost", "walk")
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "{}")
	message, err := n.Queue.Streams.First(t.Context(), events.Actions, 1, n.Bus.Subjects.Action(ref))
	if err != nil {
		t.Fatal(err)
	}
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Hour})
	for range 2 { // an advisory can be delivered twice
		adviseMaxDeliveries(t, n, message)
	}
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionFailed {
		t.Errorf("got %+v", got.Error)
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, queue.Dead, ">"); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
}
