package executor_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// charge may not be called twice.
func charge() connectors.Action { return connectors.Action{Key: "charge", Handler: ask("POST")} }

func TestANonIdempotentCallIsRepeatedOnlyIfItCertainlyChangedNothing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answers []http.HandlerFunc
		code    connectors.Code
		calls   int
	}{
		"retried-after-429": {[]http.HandlerFunc{answers(429, "slow", "Retry-After", "1"), answers(200, `{}`)}, "", 2},
		"not-after-500":     {[]http.HandlerFunc{answers(500, "oops")}, connectors.CodeConnectorActionUncertain, 1},
		"not-after-503":     {[]http.HandlerFunc{answers(503, "later", "Retry-After", "1")}, connectors.CodeConnectorActionUncertain, 1},
		"not-after-a-drop":  {[]http.HandlerFunc{drops}, connectors.CodeConnectorActionUncertain, 1},
		"refused":           {[]http.HandlerFunc{answers(402, "no money")}, connectors.CodeConnectorActionFailed, 1},
		"done":              {[]http.HandlerFunc{answers(200, `{}`)}, "", 1},
	}
	var all []connectors.Connector
	providers := map[string]*provider{}
	for name, c := range cases {
		providers[name] = newProvider(t, c.answers...)
		all = append(all, testenv.Probe(name, providers[name].URL, charge(), echo()))
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: all})
	n.StartExecutor(t, nil)
	for name, c := range cases {
		n.Connect(t, ava, name, key)
		results := n.Listen(t, "hawser.result.*.*."+name+".>")
		subject, same := n.Bus.Subjects.Action(testenv.Ref(ava, name, "charge")), events.Header{"ce-id": {"c1"}}
		n.Publish(t, subject, same, "")
		if got := results.Outcome(t); got.Code() != c.code {
			t.Errorf("%s: got %+v, want %q", name, got.Error, c.code)
		}
		n.Publish(t, subject, same, "") // the sender repeats the request
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, name, "echo")), events.Header{"ce-id": {"last"}}, `{"text":"x"}`)
		if got := results.Outcome(t); got.ID != "last" {
			t.Errorf("%s: a second result was published: %+v", name, got)
		}
	}
	waitEmpty(t, n, events.Actions)
	for name, c := range cases {
		if got := providers[name].calls(); got != c.calls {
			t.Errorf("%s: the provider was called %d times, want %d", name, got, c.calls)
		}
	}
	if got := n.Count(t, queue.Dead, ">"); got != 0 {
		t.Errorf("%d dead letters, want none: nothing is to be redriven blindly", got)
	}
}

func TestACallThatReachedNoProviderIsRetried(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(200, `{}`))
	var calls atomic.Int32
	n := against(t, p, connectors.Action{Key: "charge", Handler: func(ctx context.Context, call *connectors.Call, in json.RawMessage) (json.RawMessage, error) {
		if calls.Add(1) == 1 {
			elsewhere := *call
			elsewhere.BaseURL = "http://127.0.0.1:1" // a closed port
			return ask("POST")(ctx, &elsewhere, in)
		}
		return ask("POST")(ctx, call, in)
	}})
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "charge")), nil, "")
	if got := results.Outcome(t); got.Code() != "" || p.calls() != 1 {
		t.Errorf("got %+v after %d calls", got.Error, p.calls())
	}
}

// A handler may make several calls. What the last of them says does not undo
// what an earlier one did.
func TestARefusedSecondCallLeavesTheFirstUncertain(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]http.HandlerFunc{"429": answers(429, "slow"), "unreachable": nil} {
		p := newProvider(t, answers(200, `{}`), answers(200, `{}`), last)
		n := against(t, p, connectors.Action{Key: "charge", Handler: func(ctx context.Context, call *connectors.Call, in json.RawMessage) (json.RawMessage, error) {
			if _, err := ask("GET")(ctx, call, in); err != nil { // harmless
				return nil, err
			}
			if _, err := ask("POST")(ctx, call, in); err != nil {
				return nil, err
			}
			second := *call
			if last == nil {
				second.BaseURL = "http://127.0.0.1:1"
			}
			return ask("POST")(ctx, &second, in)
		}})
		results := n.Listen(t, "hawser.result.>")
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "charge")), nil, "")
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionUncertain {
			t.Errorf("%s: got %+v, want CONNECTOR_ACTION_UNCERTAIN", name, got.Error)
		}
	}
}

func TestARepetitionIsParkedWhileAnotherMessageHoldsTheClaim(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(200, `{}`))
	n := against(t, p, charge())
	ref := testenv.Ref(ava, "probe", "charge")
	results := n.Listen(t, "hawser.result.>")
	// Another executor is at the call.
	claims(t, n, ref, "c1", "hawser.action.x/1", time.Now())
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"c1"}}, "")
	testenv.Eventually(t, "the repetition is parked", func() bool { return n.Count(t, queue.Parked, n.Queue.Subjects.Parked(ref, "c1")) == 1 })
	waiting, err := n.Queue.Streams.First(t.Context(), queue.Parked, 1, n.Queue.Subjects.Parked(ref, "c1"))
	if err != nil {
		t.Fatal(err)
	}
	result := events.New("other", "hawser.action.completed", events.EventContext{Tenant: ava, Connector: "probe", RequestID: "c1"}, []byte(`{"data":1}`))
	if _, err := n.Bus.Publish(t.Context(), n.Bus.Subjects.Result(ref, "c1"), result, nil); err != nil {
		t.Fatal(err)
	}
	for _, schedule := range []string{"Nats-Schedule", "Nats-Schedule-Target"} {
		waiting.Header.Del(schedule)
	}
	n.Publish(t, n.Queue.Subjects.DueAction(ref), waiting.Header, string(waiting.Data)) // its time comes
	testenv.Eventually(t, "it is done with", func() bool { return n.Count(t, queue.Parked, n.Queue.Subjects.DueAction(ref)) == 0 })
	if got := results.Outcome(t); string(got.Data) != "1" || results.Left() != 0 || p.calls() != 0 {
		t.Errorf("got %+v, %d more, and %d calls, want the other executor's result alone", got, results.Left(), p.calls())
	}
}

// claims makes a claim as an executor would have made it at a time.
func claims(t *testing.T, n *testenv.Node, ref events.ActionRef, id, place string, at time.Time) {
	t.Helper()
	holder, err := records.NewClaims(n.Buckets).Acquire(t.Context(), events.Action{ActionRef: ref, ID: id}, place+"/"+idAt(at))
	if err != nil {
		t.Fatal(err)
	}
	if holder[:len(place)] != place {
		t.Fatalf("the claim is held by %s", holder)
	}
}

func TestAnOldClaimWithoutAResultIsUncertain(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(200, `{}`))
	n := against(t, p, charge())
	ref := testenv.Ref(ava, "probe", "charge")
	results := n.Listen(t, "hawser.result.>")
	// A result ages out before its claim does; then the request comes again.
	claims(t, n, ref, "old", "hawser.action.x/1", time.Now().Add(-time.Hour))
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"old"}}, "")
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionUncertain || p.calls() != 0 {
		t.Errorf("got %+v after %d calls, want CONNECTOR_ACTION_UNCERTAIN after none", got.Error, p.calls())
	}
}

func TestARedeliveryAfterAnExecutorEndedDuringTheCallIsUncertain(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(200, `{}`))
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", p.URL,
		connectors.Action{Key: "charge", MaxAttempts: 1, Handler: ask("POST")})}})
	n.Connect(t, ava, "probe", key)
	ref := testenv.Ref(ava, "probe", "charge")
	results := n.Listen(t, "hawser.result.>")
	// An executor that ended during the call leaves its claim and the message.
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"c1"}}, "")
	d, err := n.Queue.Streams.First(t.Context(), events.Actions, 1, n.Bus.Subjects.Action(ref))
	if err != nil {
		t.Fatal(err)
	}
	claims(t, n, ref, "c1", place(d), time.Now())
	n.StartExecutor(t, &executor.Options{})
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionUncertain {
		t.Errorf("got %+v, want CONNECTOR_ACTION_UNCERTAIN", got.Error)
	}
	if p.calls() != 0 {
		t.Errorf("the provider was called again")
	}
}
