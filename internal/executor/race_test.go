package executor_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/roletest"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// behind is a node of the same installation whose connection to NATS goes
// through a proxy, so that it can be cut off as a process that sleeps.
func behind(t *testing.T, n *roletest.Node, probe connectors.Connector) (*roletest.Node, *testenv.Proxy) {
	t.Helper()
	proxy := testenv.NewProxy(t, n.Env.URL())
	options := append(events.ConnectOptions("sleeper"), nats.UserCredentials(n.Env.Server().CredsPath()),
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
	return roletest.Start(t, &roletest.Options{Env: n.Env, Keyset: n.Keyset, Queue: q, Connectors: []connectors.Connector{probe}}), proxy
}

// gated is an action whose first call waits for release.
func gated(idempotent bool, calls *atomic.Int32, entered chan<- struct{}, release <-chan struct{}) connectors.Action {
	return connectors.Action{Key: "act", Idempotent: idempotent, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		if calls.Add(1) == 1 {
			close(entered)
			<-release
		}
		return json.RawMessage(`{}`), nil
	}}
}

func TestAnExecutorThatSleptDoesNotAnswerASecondTime(t *testing.T) {
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
			probe := roletest.Probe("probe", "", gated(c.idempotent, &calls, entered, release), echo())
			n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{probe}})
			n.Connect(t, ava, "probe", key)
			sleeper, proxy := behind(t, n, probe)
			results := n.Listen(t, "hawser.result.>")
			soon := &executor.Options{AckWait: 500 * time.Millisecond}
			sleeper.StartExecutor(t, soon)
			ref := roletest.Ref(ava, "probe", "act")
			n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
			<-entered
			proxy.Pause()
			n.StartExecutor(t, soon)
			if got := results.Outcome(t); got.Code() != c.code {
				t.Errorf("got %+v, want %q", got.Error, c.code)
			}
			// Live subscribers hear a result before the stream has it.
			eventually(t, "the result is stored", func() bool { return n.Count(t, events.Results, n.Bus.Subjects.Result(ref, "r")) == 1 })
			close(release) // the sleeper finishes its call, and wakes up
			proxy.Resume()
			eventually(t, "both are done", func() bool { return n.Count(t, events.Actions, ">") == 0 })
			for range 20 { // both are alive, and have nothing to say about it any more
				n.Publish(t, n.Bus.Subjects.Action(roletest.Ref(ava, "probe", "echo")), nil, `{"text":"x"}`)
				if got := results.Outcome(t); got.ID == "r" {
					t.Fatalf("a second result was heard: %+v", got)
				}
			}
			if calls.Load() != c.calls {
				t.Errorf("%d calls, want %d", calls.Load(), c.calls)
			}
			ends := func() int {
				return n.Count(t, events.Lifecycle, n.Bus.Subjects.Event(ava, "probe", events.ActionCompleted)) + n.Count(t, events.Lifecycle, n.Bus.Subjects.Event(ava, "probe", events.ActionFailed))
			}
			eventually(t, "every request's end is announced", func() bool { return ends() >= 21 })
			if ends() != 21 {
				t.Errorf("%d ends of 21 requests are stored", ends())
			}
		})
	}
}

func TestADeathBetweenResultAndEventIsMadeUpFor(t *testing.T) {
	t.Parallel()
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "", echo())}})
	n.Connect(t, ava, "probe", key)
	ref := roletest.Ref(ava, "probe", "echo")
	lifecycle := n.Listen(t, "hawser.event.>")
	// An executor published the result and died: neither event nor ack. Another
	// delivery of the message follows.
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, `{"text":"x"}`)
	result := events.New("executor", "hawser.action.failed", events.EventContext{Tenant: ava, Connector: "probe", RequestID: "r"}, []byte(`{"error":{"code":"CONNECTOR_ACTION_FAILED","message":"no"}}`))
	if _, err := n.Bus.Publish(t.Context(), n.Bus.Subjects.Result(ref, "r"), result, nil); err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{})
	ctx, die := context.WithCancel(t.Context())
	dead := make(chan error)
	go func() {
		dead <- n.Bus.Consume(ctx, ctx, events.Consumer{Name: "action-probe", Stream: events.Actions, Filter: n.Bus.Subjects.ActionFilter("probe"), AckWait: 30 * time.Second, MaxConcurrent: 1},
			func(context.Context, *events.StoredMessage) error {
				close(taken)
				<-ctx.Done()
				return events.RetryIn(0, context.Canceled)
			})
	}()
	<-taken
	die()
	if err := <-dead; err != nil {
		t.Fatal(err)
	}
	n.StartExecutor(t, nil)
	e := lifecycle.Event(t)
	var data events.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		t.Fatal(err)
	}
	if e.Type() != "hawser.action.failed" || data.ErrorCode != "CONNECTOR_ACTION_FAILED" || e.ID() != events.DerivedID(result.ID(), "announced") {
		t.Errorf("heard %s %s %+v", e.Type(), e.ID(), data)
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, events.Results, ">"); got != 1 {
		t.Errorf("%d results, want 1", got)
	}
}

func TestWhatExecutorsDieOfIsGivenUpOn(t *testing.T) {
	t.Parallel()
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "",
		connectors.Action{Key: "act", Idempotent: true, MaxAttempts: 2, Handler: roletest.Returns(`{}`)})}})
	n.Connect(t, ava, "probe", key)
	ref := roletest.Ref(ava, "probe", "act")
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "")
	ctx, die := context.WithCancel(t.Context())
	dead := make(chan error)
	go func() {
		dead <- n.Bus.Consume(ctx, ctx, events.Consumer{Name: "action-probe", Stream: events.Actions, Filter: n.Bus.Subjects.ActionFilter("probe"), AckWait: 30 * time.Second, MaxConcurrent: 1},
			func(_ context.Context, d *events.StoredMessage) error {
				if d.NumDelivered == 2 {
					die()
				}
				return events.RetryIn(0, context.Canceled)
			})
	}()
	if err := <-dead; err != nil {
		t.Fatal(err)
	}
	n.StartExecutor(t, nil)
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionFailed || !strings.Contains(got.Error.Message, "again and again") {
		t.Errorf("got %+v", got.Error)
	}
	if got := n.Count(t, queue.Dead, n.Queue.Subjects.DeadAction(ref)); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
}

func TestTheServersNoticeOfDeliveriesThatRanOutIsActedOn(t *testing.T) {
	t.Parallel()
	n := roletest.Start(t, &roletest.Options{Connectors: []connectors.Connector{roletest.Probe("probe", "", echo())}})
	ref := roletest.Ref(ava, "ghost", "walk")
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, "{}")
	d, err := n.Queue.Streams.First(t.Context(), events.Actions, 1, n.Bus.Subjects.Action(ref))
	if err != nil {
		t.Fatal(err)
	}
	notice, err := json.Marshal(map[string]any{"stream": "HAWSER_ACTIONS", "stream_seq": d.Sequence})
	if err != nil {
		t.Fatal(err)
	}
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Hour})
	for range 2 { // a notice can be heard twice
		n.Publish(t, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HAWSER_ACTIONS.x", nil, string(notice))
	}
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionFailed {
		t.Errorf("got %+v", got.Error)
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, queue.Dead, ">"); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
}
