package executor_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// behind is a node of the same installation that is connected to NATS through a proxy. A
// paused proxy cuts it off like a process that is suspended.
func behind(t *testing.T, n *testenv.Node, probe connectors.Connector) (*testenv.Node, *testenv.Proxy) {
	t.Helper()
	proxy := testenv.NewProxy(t, n.Env.URL())
	options := append(events.ConnectOptions("suspended"), nats.UserCredentials(n.Env.Server().CredsPath()),
		nats.PingInterval(time.Minute), nats.ReconnectWait(5*time.Millisecond))
	nc, err := nats.Connect(proxy.URL(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	q, err := queue.New(nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.StartNode(t, &testenv.NodeOptions{Env: n.Env, Keyset: n.Keyset, Queue: q, Connectors: []connectors.Connector{probe}}), proxy
}

// blockedOnce is an action whose first call waits for release.
func blockedOnce(idempotent bool, calls *atomic.Int32, entered chan<- struct{}, release <-chan struct{}) connectors.Action {
	return connectors.Action{Key: "act", Idempotent: idempotent, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		if calls.Add(1) == 1 {
			close(entered)
			<-release
		}
		return json.RawMessage(`{}`), nil
	}}
}

func TestAnExecutorThatWasSuspendedStoresNoSecondResult(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		idempotent bool
		calls      int32
		code       connectors.Code
	}{
		"what may be repeated runs twice":   {true, 2, ""},
		"what may not is uncertain instead": {false, 1, connectors.CodeConnectorActionUncertain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			entered, release := make(chan struct{}), make(chan struct{})
			probe := testenv.Probe("probe", "", blockedOnce(c.idempotent, &calls, entered, release), echo())
			n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{probe}})
			n.Connect(t, ava, "probe", key)
			suspended, proxy := behind(t, n, probe)
			results := n.Listen(t, "hawser.result.>")
			soon := &executor.Options{AckWait: 500 * time.Millisecond}
			suspended.StartExecutor(t, soon)
			ref := testenv.Ref(ava, "probe", "act")
			n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
			<-entered
			proxy.Pause()
			n.StartExecutor(t, soon)
			if got := results.Outcome(t); got.Code() != c.code {
				t.Errorf("got %+v, want %q", got.Error, c.code)
			}
			// Subscribers receive a result before it is stored.
			testenv.Eventually(t, "the result is stored", func() bool { return n.Count(t, events.Results, n.Bus.Subjects.Result(ref, "r")) == 1 })
			close(release) // the suspended executor resumes, and its call ends
			proxy.Resume()
			testenv.Eventually(t, "both are done", func() bool { return n.Count(t, events.Actions, ">") == 0 })
			for range 20 { // both executors work, and publish nothing about it any more
				n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "echo")), nil, `{"text":"x"}`)
				if got := results.Outcome(t); got.ID == "r" {
					t.Fatalf("a second result was published: %+v", got)
				}
			}
			if calls.Load() != c.calls {
				t.Errorf("%d calls, want %d", calls.Load(), c.calls)
			}
			finals := func() int {
				return n.Count(t, events.Lifecycle, n.Bus.Subjects.Event(ava, "probe", events.ActionCompleted)) + n.Count(t, events.Lifecycle, n.Bus.Subjects.Event(ava, "probe", events.ActionFailed))
			}
			testenv.Eventually(t, "the final event of every request is stored", func() bool { return finals() >= 21 })
			if finals() != 21 {
				t.Errorf("%d final events of 21 requests are stored", finals())
			}
		})
	}
}
