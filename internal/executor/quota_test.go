package executor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// What a tenant publishes beyond its quota has its result, and others' requests run.
func TestATenantBeyondItsQuotaIsRefused(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", connectors.Action{
		Key: "wait", Idempotent: true, Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			if call.Identity == ava.Identity {
				<-release
			}
			return json.RawMessage(`{}`), nil
		},
	})}})
	n.Connect(t, ava, "probe", key)
	n.Connect(t, bob, "probe", key)
	refused := n.Listen(t, "hawser.result.*.ava=40example=2Ecom.>")
	for i := range 40 {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "wait")), events.Header{"ce-id": {fmt.Sprint(i)}}, "{}")
	}
	n.StartExecutor(t, &executor.Options{Concurrency: 4, Quota: queue.Quota{Messages: 20}})
	for range 20 {
		if got := refused.Outcome(t); got.Code() != connectors.CodeConnectorQuotaExceeded {
			t.Errorf("%+v", got)
		}
	}
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "wait")), nil, "{}")
	header, _, err := n.Bus.Request(t.Context(), n.Bus.Subjects.Call(testenv.Ref(bob, "probe", "wait")), []byte("{}"))
	if err != nil || header.Get(events.HeaderErrorCode) != "" {
		t.Errorf("another tenant: %v %v", header, err)
	}
	close(release)
	waitEmpty(t, n, events.Actions)
}
