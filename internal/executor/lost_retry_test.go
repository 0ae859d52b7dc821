package executor_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/roletest"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// slowEvents replaces the stream of lifecycle events by a responder that acknowledges
// every publish after delay.
func slowEvents(t *testing.T, n *roletest.Node, delay time.Duration) {
	t.Helper()
	js := n.Bus.JetStream()
	if err := js.DeleteStream(t.Context(), n.Bus.Subjects.StreamName(events.Lifecycle)); err != nil {
		t.Fatal(err)
	}
	nc := n.Env.Conn(t)
	_, err := nc.Subscribe("hawser.event.>", func(m *nats.Msg) {
		if m.Reply != "" {
			time.AfterFunc(delay, func() { _ = m.Respond([]byte(`{"stream":"HAWSER_EVENTS","seq":1}`)) })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A retry that comes due before action.retrying is acknowledged shared the outcome of
// the attempt before it, and its message was acknowledged without being worked on.
func TestARetryThatIsDueBeforeTheEventOfItsFirstAttemptIsStoredIsNotLost(t *testing.T) {
	t.Parallel()
	p := newProvider(t, answers(503, "busy"), answers(200, `{"done":true}`))
	n := against(t, p, connectors.Action{Key: "ask", Idempotent: true, Handler: ask("GET")})
	slowEvents(t, n, 2*time.Second)
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(roletest.Ref(ava, "probe", "ask")), events.Header{"ce-id": {"r"}}, "")
	if got := results.Outcome(t); got.Code() != "" || p.calls() != 2 {
		t.Errorf("got %+v after %d calls, want a success after 2", got.Error, p.calls())
	}
}
