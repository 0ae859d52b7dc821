package executor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// ask returns a handler that calls the provider once.
func ask(method string) testenv.Handler {
	return func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		req, err := http.NewRequestWithContext(ctx, method, call.BaseURL+"/thing", nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Idempotency-Key", call.IdempotencyKey)
		resp, err := call.HTTP.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 != 2 {
			after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			return nil, &connectors.ProviderError{Status: resp.StatusCode, RetryAfter: time.Duration(after) * time.Second, Message: string(body)}
		}
		return body, nil
	}
}

// against is a node whose connector "probe" talks to the provider.
func against(t *testing.T, p *provider, actions ...connectors.Action) *testenv.Node {
	t.Helper()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", p.URL, actions...)}})
	n.Connect(t, ava, "probe", key)
	n.StartExecutor(t, nil)
	return n
}

// story returns the lifecycle events of a request, one text each.
func story(t *testing.T, heard *testenv.Received, count int) []string {
	t.Helper()
	var out []string
	for range count {
		e := heard.Event(t)
		var data events.Data
		if err := json.Unmarshal(e.Data(), &data); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %d %s", events.KindOf(e.Type()), data.Attempt, data.ErrorCode))
	}
	return out
}

func TestFailuresOfTheProviderAreRetriedUntilItAnswers(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(500, "oops"), answers(429, "slow down", "Retry-After", "1"), answers(200, `{"done":true}`))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("POST")})
	results, lifecycle := n.Listen(t, "hawser.result.>"), n.Listen(t, "hawser.event.>")
	ref := testenv.Ref(ava, "probe", "ask")
	began := time.Now()
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}, "ce-traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}, "")
	got := results.Message(t)
	if string(got.Data) != `{"data":{"done":true}}` {
		t.Errorf("result %s", got.Data)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("done after %v, although the provider asked for a second", took)
	}
	want := []string{
		"action.started 1 ", "action.retrying 1 CONNECTOR_ACTION_FAILED",
		"action.started 2 ", "action.retrying 2 CONNECTOR_RATE_LIMITED",
		"action.started 3 ", "action.completed 3 ",
	}
	if diff := cmp.Diff(want, story(t, lifecycle, 6)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	keys := map[string]bool{}
	for _, r := range p.requests {
		keys[r.Header.Get("Idempotency-Key")] = true
	}
	if len(keys) != 1 || keys[""] {
		t.Errorf("the provider saw the idempotency keys %v, want one", keys)
	}
	trace := got.Header["ce-traceparent"]
	if len(trace) != 1 || trace[0][:35] != "00-0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the result continues the trace %v", trace)
	}
	waitEmpty(t, n, queue.Parked)
}

func TestARequestWithoutAttemptsLeftIsADeadLetterAsAWhole(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(503, "down"))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, MaxAttempts: 2, Handler: ask("POST")})
	results := n.Listen(t, "hawser.result.>")
	ref := testenv.Ref(ava, "probe", "ask")
	header := events.Header{"ce-id": {"r 1"}, "ce-hawserpriority": {"high"}}
	n.Publish(t, n.Bus.Subjects.Action(ref), header, `{"order":"of the customer"}`)
	got := results.Outcome(t)
	if got.Code() != connectors.CodeConnectorActionFailed || got.Error.ProviderStatus != 503 {
		t.Errorf("got %+v, want CONNECTOR_ACTION_FAILED of a 503", got.Error)
	}
	if p.calls() != 2 {
		t.Errorf("the provider was called %d times, want 2", p.calls())
	}
	dead, err := n.Queue.Streams.First(t.Context(), queue.Dead, 1, n.Queue.Subjects.DeadAction(ref))
	if err != nil {
		t.Fatal(err)
	}
	back, err := n.Queue.Subjects.ReadAction(&events.StoredMessage{Subject: dead.Header[queue.HeaderSubject][0], Header: dead.Header, Data: dead.Data})
	if err != nil || back.ID != "r 1" || !back.High || string(back.Input) != `{"order":"of the customer"}` {
		t.Errorf("the dead letter is %+v, %v", back, err)
	}
	if dead.Header[events.HeaderAttempt][0] != "2" || dead.Header[queue.HeaderReason][0] != "CONNECTOR_ACTION_FAILED" {
		t.Errorf("the dead letter says %v", dead.Header)
	}
}

func TestFailuresThatNoRetryHelpsHaveAResultAtOnce(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(404, "no such thing"))
	inner := newProvider(t, answers(200, `{}`))
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{
		testenv.Probe("probe", p.URL, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("POST")},
			connectors.Action{Key: "permanent", Idempotent: true, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
				return nil, connectors.Permanent(errProvider)
			}}),
		testenv.Probe("private", "http://[::1]"+inner.URL[len("http://127.0.0.1"):], connectors.Action{Key: "ask", Idempotent: true, Handler: ask("POST")}),
	}})
	n.Connect(t, ava, "probe", key)
	n.Connect(t, ava, "private", key)
	n.StartExecutor(t, nil)
	results := n.Listen(t, "hawser.result.>")
	for _, ref := range []events.ActionRef{testenv.Ref(ava, "probe", "ask"), testenv.Ref(ava, "probe", "permanent"), testenv.Ref(ava, "private", "ask")} {
		n.Publish(t, n.Bus.Subjects.Action(ref), nil, "")
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionFailed {
			t.Errorf("%s.%s: %+v", ref.Connector, ref.Action, got.Error)
		}
	}
	if p.calls() != 1 || inner.calls() != 0 {
		t.Errorf("the provider was called %d times, the private address %d times, want 1 and 0", p.calls(), inner.calls())
	}
	if got := n.Count(t, queue.Parked, ">"); got != 0 {
		t.Errorf("%d requests are parked, want none", got)
	}
}

func TestAHandlerThatPanicsIsAFailureAndOthersGoOn(t *testing.T) {
	t.Parallel()
	n := one(t, echo(), connectors.Action{Key: "panic", Idempotent: true, MaxAttempts: 2, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		panic("canary-in-a-panic")
	}})
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "panic")), events.Header{"ce-id": {"poison"}}, "")
	got := map[string]connectors.Code{}
	for range 20 {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "echo")), nil, `{"text":"x"}`)
	}
	for range 21 {
		o := results.Outcome(t)
		got[o.ID] = o.Code()
	}
	if len(got) != 21 || got["poison"] != connectors.CodeConnectorActionFailed {
		t.Errorf("%d results, poison is %q", len(got), got["poison"])
	}
	if got := n.Count(t, queue.Dead, ">"); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
	if lines := n.Log.Lines("canary"); len(lines) != 0 {
		t.Errorf("the log shows what was thrown: %s", lines)
	}
}

func TestACallEndsAtItsTimeoutWhetherOrNotTheHandlerReturns(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	limit := func(key string, handler testenv.Handler) connectors.Action {
		return connectors.Action{Key: key, Idempotent: true, MaxAttempts: 1, Timeout: 50 * time.Millisecond, Handler: handler}
	}
	n := one(t, echo(), limit("returns", func(ctx context.Context, _ *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("gave up: %w", ctx.Err())
	}), limit("blocks", func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		<-released
		return json.RawMessage(`{}`), nil
	}))
	results := n.Listen(t, "hawser.result.>")
	for _, action := range []string{"returns", "blocks"} {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", action)), nil, "")
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionTimeout {
			t.Errorf("%s: %+v, want CONNECTOR_ACTION_TIMEOUT", action, got.Error)
		}
	}
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "echo")), nil, `{"text":"x"}`)
	if got := results.Outcome(t); got.Code() != "" {
		t.Errorf("after that: %+v", got.Error)
	}
}

func TestTheContextFunctionOfAConnectorIsBoundedLikeAHandler(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		context func(context.Context, *connectors.Call) (any, error)
		code    connectors.Code
	}{
		"panics": {func(context.Context, *connectors.Call) (any, error) { panic("x") }, connectors.CodeConnectorActionFailed},
		"hangs": {func(ctx context.Context, _ *connectors.Call) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, connectors.CodeConnectorActionTimeout},
		"tells": {func(_ context.Context, call *connectors.Call) (any, error) {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "bad key %s", call.Secrets[0].Reveal())
		}, connectors.CodeConnectorConfigInvalid},
		"works": {func(context.Context, *connectors.Call) (any, error) { return "made", nil }, ""},
	}
	var all []connectors.Connector
	for name, c := range cases {
		probe := testenv.Probe(name, "", connectors.Action{Key: "act", Timeout: time.Second, MaxAttempts: 1, Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			return json.Marshal(call.Context)
		}})
		probe.Context = c.context
		all = append(all, probe)
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: all})
	n.StartExecutor(t, nil)
	results := n.Listen(t, "hawser.result.>")
	for name, c := range cases {
		n.Connect(t, ava, name, key)
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, name, "act")), nil, "")
		d := results.Message(t)
		e, err := events.Decode(d.Header, d.Data)
		if err != nil {
			t.Fatal(err)
		}
		if got := testenv.OutcomeOf(t, e); got.Code() != c.code || c.code == "" && string(got.Data) != `"made"` {
			t.Errorf("%s: got %s, want %q", name, d.Data, c.code)
		}
		if contains(d.Data, "key-of-ava") {
			t.Errorf("%s: the result shows the key: %s", name, d.Data)
		}
	}
}
