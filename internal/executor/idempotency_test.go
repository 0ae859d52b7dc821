package executor_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// A request that is refused has its result, and leaves that of the first as it is.
func TestAnotherInputUnderOneIDIsAConflict(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	ref := testenv.Ref(ava, "probe", "echo")
	results, lifecycle := n.Listen(t, "hawser.result.>"), n.Listen(t, "hawser.event.*.*.*.action.failed")
	header := events.Header{"ce-id": {"r1"}}
	n.Publish(t, n.Bus.Subjects.Action(ref), header, `{"text":"first"}`)
	if got := results.Outcome(t); got.Code() != "" {
		t.Fatalf("the first: %+v", got)
	}
	n.Publish(t, n.Bus.Subjects.Action(ref), header, `{"text":"second"}`)
	refused := results.Message(t)
	e, err := events.Decode(refused.Header, refused.Data)
	testenv.Must(t, err)
	if got := testenv.OutcomeOf(t, e); got.Code() != "CONNECTOR_IDEMPOTENCY_CONFLICT" || got.ID != "r1" || refused.Subject == n.Bus.Subjects.Result(ref, "r1") {
		t.Errorf("the second: %s %+v", refused.Subject, got)
	}
	if e := lifecycle.Event(t); events.Extension(e, events.ExtRequest) != "r1" {
		t.Errorf("event %s", e)
	}
	n.Publish(t, n.Bus.Subjects.Action(ref), header, `{"text":"second"}`) // again: it has its result
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, events.Results, ">"); got != 2 {
		t.Errorf("%d results, want that of the first and one refusal", got)
	}
	if e, err := n.Bus.StoredResult(t.Context(), "r1", ""); err != nil || string(testenv.OutcomeOf(t, e).Data) != `{"text":"first"}` {
		t.Errorf("the first result is now %s, %v", e.Data(), err)
	}
	reply, err := n.Bus.JetStream().Conn().RequestMsgWithContext(testenv.Bounded(t), &nats.Msg{
		Subject: n.Bus.Subjects.Call(ref), Header: nats.Header(header), Data: []byte(`{"text":"third"}`),
	})
	testenv.Must(t, err)
	if got := reply.Header.Get(events.HeaderErrorCode); got != "CONNECTOR_IDEMPOTENCY_CONFLICT" {
		t.Errorf("by request-reply: %q %s", got, reply.Data)
	}
}

func TestAnotherInputWhileTheFirstRunsDoesNotRun(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	entered, release := make(chan struct{}, 8), make(chan struct{})
	n := one(t, connectors.Action{Key: "count", Idempotent: true, Handler: func(_ context.Context, _ *connectors.Call, in json.RawMessage) (json.RawMessage, error) {
		calls.Add(1)
		entered <- struct{}{}
		<-release
		return in, nil
	}})
	ref := testenv.Ref(ava, "probe", "count")
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, `{"n":1}`)
	<-entered
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, `{"n":2}`)
	close(release)
	if first, second := results.Outcome(t), results.Outcome(t); string(first.Data) != `{"n":1}` || second.Code() != "CONNECTOR_IDEMPOTENCY_CONFLICT" {
		t.Errorf("%+v, then %+v", first, second)
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls, want 1", calls.Load())
	}
}

// What the stream acknowledges has its result, whoever else used the same Nats-Msg-Id.
func TestTwoTenantsWithOneMessageIDAreBothAnswered(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	n.Connect(t, bob, "probe", key)
	results := n.Listen(t, "hawser.result.>")
	for _, tenant := range []events.Tenant{ava, bob, ava, bob} {
		ack, err := n.Bus.Publish(t.Context(), n.Bus.Subjects.Action(testenv.Ref(tenant, "probe", "echo")),
			&events.Message{Data: []byte(`{"text":"` + tenant.Identity + `"}`)}, &events.PublishOptions{MsgID: "1"})
		if err != nil || ack.Duplicate {
			t.Fatalf("%v, %v", ack, err)
		}
	}
	first, second := results.Outcome(t), results.Outcome(t)
	if first.ID != "1" || second.ID != "1" || string(first.Data) == string(second.Data) {
		t.Errorf("%+v, %+v, want one of each tenant", first, second)
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, events.Results, ">"); got != 2 {
		t.Errorf("%d results, want 2", got)
	}
}
