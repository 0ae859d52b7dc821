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

// The definition of a connector stays when its executor is gone for good.
func TestRequestsToAConnectorWhoseExecutorsHaveEndedAreAnswered(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", echo())}})
	n.Connect(t, ava, "probe", key)
	const lease = 4 * time.Second
	last := n.StartExecutor(t, &executor.Options{ServingLease: lease})
	other := *n
	other.Registry = connectors.NewRegistry() // an executor of other connectors
	(&other).StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond, ServingLease: lease})
	results := n.Listen(t, "hawser.result.>")
	ref := testenv.Ref(ava, "probe", "echo")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"served"}}, `{"text":"x"}`)
	if got := results.Outcome(t); got.ID != "served" || got.Error != nil {
		t.Fatalf("while it is served: %s, %v", got.ID, got.Error)
	}
	ended := time.Now()
	testenv.Must(t, last.Stop())
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"left"}}, `{"text":"x"}`)
	got := results.Outcome(t)
	if got.ID != "left" || got.Code() != connectors.CodeConnectorUnavailable {
		t.Errorf("%s: got %v, want CONNECTOR_UNAVAILABLE", got.ID, got.Error)
	}
	if waited := time.Since(ended); waited < lease/2 {
		t.Errorf("answered after %v, within the lease of %v", waited, lease)
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, queue.Dead, n.Queue.Subjects.DeadAction(ref)); got != 1 {
		t.Errorf("%d dead letters, want 1, which can be sent again", got)
	}
}
