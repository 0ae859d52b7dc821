package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

var ava = testenv.Org("ava@example.com")

const key = `{"apiKey":"key-of-ava"}`

// one is a node with an executor of connector "probe", to which ava is connected.
func one(t *testing.T, actions ...connectors.Action) *testenv.Node {
	t.Helper()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", actions...)}})
	n.Connect(t, ava, "probe", key)
	n.StartExecutor(t, nil)
	return n
}

type echoInput struct {
	Text  string `json:"text"`
	Items []struct {
		Name string `json:"name"`
	} `json:"items,omitempty"`
}

func echo() connectors.Action {
	return connectors.NewAction("echo", func(_ context.Context, _ *connectors.Call, in echoInput) (map[string]string, error) {
		return map[string]string{"text": in.Text}, nil
	}, &connectors.ActionOptions{Idempotent: true})
}

func TestEveryKindOfMessageGetsOneResult(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	ref := testenv.Ref(ava, "probe", "echo")
	results := n.Listen(t, "hawser.result.>")
	structured, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "s 1", "source": "/test", "type": "x", "data": map[string]string{"text": "structured"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]struct {
		header events.Header
		data   string
		id     string
	}{
		"plain":      {nil, `{"text":"plain"}`, ""},
		"message id": {events.Header{"Nats-Msg-Id": {"m1"}}, `{"text":"message id"}`, "m1"},
		"binary":     {events.Header{"ce-specversion": {"1.0"}, "ce-id": {"b%201"}, "ce-source": {"/test"}, "ce-type": {"x"}}, `{"text":"binary"}`, "b 1"},
		"structured": {events.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}, string(structured), "s 1"},
	} {
		n.Publish(t, n.Bus.Subjects.Action(ref), m.header, m.data)
		d := results.Message(t)
		e, err := events.Decode(d.Header, d.Data)
		if err != nil {
			t.Fatal(err)
		}
		got := testenv.OutcomeOf(t, e)
		if want := `{"text":"` + name + `"}`; got.Type != "hawser.action.completed" || string(got.Data) != want {
			t.Errorf("%s: got %s %s, want %s", name, got.Type, got.Data, want)
		}
		if m.id != "" && (got.ID != m.id || d.Subject != n.Bus.Subjects.Result(ref, m.id)) {
			t.Errorf("%s: result of %q on %s, want of %q", name, got.ID, d.Subject, m.id)
		}
	}
	// Subscribers receive a result a moment before it is stored.
	for n.Count(t, events.Results, "hawser.result.>") < 4 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	if got := n.Count(t, events.Results, "hawser.result.>"); got != 4 || results.Left() != 0 {
		t.Errorf("%d results are stored and %d more were published, want 4 and 0", got, results.Left())
	}
}

func TestARepeatedIDHasOneResult(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	entered, release := make(chan struct{}, 8), make(chan struct{})
	n := one(t, connectors.Action{Key: "count", Idempotent: true, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		calls.Add(1)
		entered <- struct{}{}
		<-release
		return json.RawMessage(`{}`), nil
	}}, echo())
	ref := testenv.Ref(ava, "probe", "count")
	results := n.Listen(t, "hawser.result.>")
	same := events.Header{"ce-id": {"r1"}}
	n.Publish(t, n.Bus.Subjects.Action(ref), same, "{}")
	<-entered
	for range 3 { // while the first is at work
		n.Publish(t, n.Bus.Subjects.Action(ref), same, "{}")
	}
	close(release)
	if got := results.Outcome(t); got.ID != "r1" || got.Code() != "" {
		t.Fatalf("got %+v", got)
	}
	n.Publish(t, n.Bus.Subjects.Action(ref), same, "{}") // and after it
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "echo")), events.Header{"ce-id": {"last"}}, `{"text":"x"}`)
	if got := results.Outcome(t); got.ID != "last" {
		t.Errorf("another result was published: %+v", got)
	}
	waitEmpty(t, n, events.Actions)
	if got := calls.Load(); got != 1 {
		t.Errorf("the handler ran %d times, want once", got)
	}
	if got := n.Count(t, events.Results, n.Bus.Subjects.ResultFilter("r1")); got != 1 {
		t.Errorf("%d results are stored, want 1", got)
	}
}

// waitEmpty waits until a queue has nothing left to do.
func waitEmpty(t *testing.T, n *testenv.Node, s events.Stream) {
	t.Helper()
	testenv.Eventually(t, "the stream is empty", func() bool { return n.Count(t, s, ">") == 0 })
}

func TestAGeneratedIDIsTheSameAtEveryDelivery(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 8)
	var calls atomic.Int32
	n := one(t, connectors.Action{Key: "flaky", Idempotent: true, Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		ids <- call.RequestID + " " + call.IdempotencyKey
		if calls.Add(1) == 1 {
			return nil, connectors.RetryAfter(0, errors.New("once more"))
		}
		return json.RawMessage(`{}`), nil
	}})
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "flaky")), nil, "")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "flaky")), nil, "")
	a, b := results.Outcome(t), results.Outcome(t)
	if a.ID == b.ID || a.ID == "" {
		t.Errorf("two requests have the ids %q and %q", a.ID, b.ID)
	}
	seen := map[string]int{}
	for range 3 {
		seen[<-ids]++
	}
	if len(seen) != 2 {
		t.Errorf("handlers saw %v, want two ids, one of them twice", seen)
	}
}

func TestAMalformedRequestFailsAsInvalidInput(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	results := n.Listen(t, "hawser.result.>")
	subject := n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "echo"))
	for name, m := range map[string]struct {
		header events.Header
		data   string
	}{
		"broken JSON":           {events.Header{"ce-id": {"1"}}, `{"text":`},
		"no object":             {events.Header{"ce-id": {"2"}}, `"text"`},
		"broken structured":     {events.Header{"Content-Type": {"application/cloudevents+json"}, "Nats-Msg-Id": {"3"}}, `{"specversion":"1.0"`},
		"another tenant inside": {events.Header{"ce-id": {"4"}, "ce-hawseridentity": {"bob"}}, `{"text":"x"}`},
		"no time as deadline":   {events.Header{"ce-id": {"5"}, "ce-hawserdeadline": {"tomorrow"}}, `{"text":"x"}`},
		"account too long":      {events.Header{"ce-id": {"6"}, "ce-hawseraccount": {strings.Repeat("a", 129)}}, `{"text":"x"}`},
		"nesting":               {events.Header{"ce-id": {"7"}}, strings.Repeat("[", 100_000)},
		"a member twice":        {events.Header{"ce-id": {"8"}}, `{"text":"a","text":"b"}`},
		"invalid UTF-8":         {events.Header{"ce-id": {"9"}}, "{\"text\":\"\xff\"}"},
	} {
		n.Publish(t, subject, m.header, m.data)
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionInputInvalid {
			t.Errorf("%s: got %s %s, want %s", name, got.Type, got.Code(), connectors.CodeConnectorActionInputInvalid)
		}
	}
	waitEmpty(t, n, events.Actions)
}

func TestTheAttemptsHeaderOfAClientIsIgnored(t *testing.T) {
	t.Parallel()
	attempts := make(chan int, 8)
	n := one(t, connectors.Action{Key: "flaky", Idempotent: true, MaxAttempts: 2, Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		attempts <- call.Attempt
		if call.Attempt == 1 {
			return nil, connectors.RetryAfter(0, errors.New("once more"))
		}
		return json.RawMessage(`{}`), nil
	}})
	results := n.Listen(t, "hawser.result.>")
	for _, claimed := range []string{"-9", "7", "x"} {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "flaky")), events.Header{events.HeaderAttempt: {claimed}}, "")
		if got := results.Outcome(t); got.Code() != "" {
			t.Errorf("attempt %s: %v", claimed, got.Error)
		}
		if a, b := <-attempts, <-attempts; a != 1 || b != 2 {
			t.Errorf("attempt %s: the handler saw %d and %d, want 1 and 2", claimed, a, b)
		}
	}
}

func TestAMessageWithoutAReadableSubjectIsQuarantined(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	n.Publish(t, "hawser.action.organization.a=2.probe.echo", nil, `{"text":"evidence"}`)
	n.Publish(t, "hawser.action.organization.a.probe.echo.more", nil, `{"text":"evidence"}`)
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, events.Quarantine, "hawser.quarantine.probe.unroutable"); got != 2 {
		t.Errorf("%d messages in quarantine, want 2", got)
	}
}
