package executor_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestADrainFinishesRunningActionsAndParksTheOthers(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	release := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", blocking("act", &running, release))}})
	n.Connect(t, ava, "probe", key)
	results := n.Listen(t, "hawser.result.>")
	role := n.StartExecutor(t, &executor.Options{Concurrency: 4})
	ref := testenv.Ref(ava, "probe", "act")
	flood(t, n, ref, 10)
	testenv.Eventually(t, "three run", func() bool { return running.Load() == 3 })
	role.Drain()
	// Those that were taken and did not get their turn go back, uncounted.
	testenv.Eventually(t, "those that wait are parked", func() bool {
		return n.Count(t, queue.Parked, ">")+n.Count(t, events.Actions, ">") == 10 && n.Count(t, queue.Parked, ">") > 0
	})
	close(release)
	if err := role.Stop(); err != nil {
		t.Error(err)
	}
	answered := n.Count(t, events.Results, ">")
	if answered < 3 {
		t.Errorf("%d answered after the drain, want the 3 in flight at least", answered)
	}
	// The server has the acks by now, and may be taking the messages out yet.
	testenv.Eventually(t, "the others are left, each once", func() bool {
		return n.Count(t, events.Actions, ">")+n.Count(t, queue.Parked, ">") == 10-answered
	})
	n.StartExecutor(t, nil)
	for range 10 {
		if got := results.Outcome(t); got.Code() != "" {
			t.Errorf("got %+v", got.Error)
		}
	}
}

func TestAnActionThatOutlivesTheGracePeriodRunsOnAnotherExecutor(t *testing.T) {
	t.Parallel()
	attempts := make(chan int, 4)
	var first atomic.Bool
	entered := make(chan struct{})
	handler := func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		attempts <- call.Attempt
		if first.CompareAndSwap(false, true) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return json.RawMessage(`{}`), nil
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "",
		connectors.Action{Key: "act", Idempotent: true, MaxAttempts: 1, Handler: handler})}})
	n.Connect(t, ava, "probe", key)
	results := n.Listen(t, "hawser.result.>")
	role := n.StartExecutor(t, nil)
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "act")), nil, "")
	<-entered
	role.Drain()
	role.EndGrace()
	if err := role.Stop(); err != nil {
		t.Error(err)
	}
	n.StartExecutor(t, nil)
	if got := results.Outcome(t); got.Code() != "" {
		t.Errorf("got %+v", got.Error)
	}
	if a, b := <-attempts, <-attempts; a != 1 || b != 1 {
		t.Errorf("the attempts were %d and %d, want 1 twice: the end of a process is no failure of the request", a, b)
	}
}

func TestANonIdempotentCallThatOutlivesTheGracePeriodIsUncertain(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "",
		connectors.Action{Key: "charge", Handler: func(ctx context.Context, _ *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}})}})
	n.Connect(t, ava, "probe", key)
	results := n.Listen(t, "hawser.result.>")
	role := n.StartExecutor(t, nil)
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "charge")), nil, "")
	<-entered
	role.Drain()
	role.EndGrace()
	if err := role.Stop(); err != nil {
		t.Error(err)
	}
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionUncertain {
		t.Errorf("got %+v, want CONNECTOR_ACTION_UNCERTAIN, stored before the process ended", got.Error)
	}
}
