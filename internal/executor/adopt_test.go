package executor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// giveUp has a consumer give up on the messages of its stream, as on those whose
// acknowledgements a server has lost, and loses the advisories about them.
func giveUp(t *testing.T, n *testenv.Node, c events.Consumer, messages int) {
	t.Helper()
	c.MaxDeliver, c.AckWait, c.MaxConcurrent = 1, 50*time.Millisecond, messages
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error)
	go func() {
		done <- n.Bus.Consume(ctx, ctx, c, func(context.Context, *events.StoredMessage) error { return errors.New("no ack") })
	}()
	testenv.Eventually(t, "the consumer has passed the messages", func() bool {
		consumer, err := n.Bus.JetStream().Consumer(t.Context(), n.Bus.Subjects.StreamName(c.Stream), c.Name)
		if err != nil {
			return false
		}
		info := consumer.CachedInfo()
		return info.Delivered.Consumer >= uint64(messages) && info.NumAckPending == 0
	})
	stop()
	testenv.Must(t, <-done)
	stream, err := n.Bus.JetStream().Stream(t.Context(), n.Bus.Subjects.StreamName(queue.Advisories))
	testenv.Must(t, err)
	testenv.Must(t, stream.Purge(t.Context()))
}

func TestTheSweepPutsBackWhatItsConsumerHasPassed(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", echo())}})
	n.Connect(t, ava, "probe", key)
	results := n.Listen(t, "hawser.result.>")
	ref := testenv.Ref(ava, "probe", "echo")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"new"}}, `{"text":"x"}`)
	giveUp(t, n, events.Consumer{Name: "action-probe", Stream: events.Actions, Filter: n.Bus.Subjects.ActionFilter("probe")}, 1)
	testenv.Must(t, n.Queue.Park(t.Context(), events.Action{ActionRef: ref, ID: "parked", Account: "default", Input: []byte(`{"text":"x"}`)}, time.Now()))
	giveUp(t, n, events.Consumer{Name: "due-probe", Stream: queue.Parked, Filter: n.Queue.Subjects.DueActionFilter("probe")}, 1)
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	ids := map[string]bool{}
	for range 2 {
		got := results.Outcome(t)
		if ids[got.ID] = true; got.Error != nil {
			t.Errorf("%s: %v", got.ID, got.Error)
		}
	}
	if !ids["new"] || !ids["parked"] {
		t.Errorf("results of %v", ids)
	}
	waitEmpty(t, n, events.Actions)
	waitEmpty(t, n, queue.Parked)
}

// A message that cannot be ended must not keep those behind it waiting.
func TestOneBadMessageStopsNoSweep(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	// Evidence of what cannot be read goes to a stream that is gone.
	testenv.Must(t, n.Bus.JetStream().DeleteStream(t.Context(), n.Bus.Subjects.StreamName(events.Quarantine)))
	results := n.Listen(t, "hawser.result.>")
	for _, subject := range []string{"hawser.action.organization.eve.ghost.x.y.z", "hawser.action.organization.eve.ghost", "hawser.action.a"} {
		n.Publish(t, subject, nil, "{}")
	}
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "ghost", "walk")), events.Header{"ce-id": {"r"}}, "{}")
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorNotFound {
		t.Errorf("got %v, want CONNECTOR_NOT_FOUND", got.Error)
	}
}

// A stranger could otherwise fill the quarantine, and stop the consumer of everybody.
func TestWhatCannotBeReadEndsWhereItsEvidenceHasNoRoom(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", echo())}})
	stream, err := n.Bus.JetStream().Stream(t.Context(), n.Bus.Subjects.StreamName(events.Quarantine))
	testenv.Must(t, err)
	config := stream.CachedInfo().Config
	config.MaxBytes = 1
	_, err = n.Bus.JetStream().UpdateStream(t.Context(), config)
	testenv.Must(t, err)
	n.StartExecutor(t, nil)
	n.Publish(t, "hawser.action.organization.=2G.probe.x", nil, "{}")
	waitEmpty(t, n, events.Actions)
}
