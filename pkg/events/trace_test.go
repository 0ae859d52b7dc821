package events_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceParent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// traced is a context within a trace that has a state.
func traced(t testing.TB) context.Context {
	t.Helper()
	return events.WithTrace(t.Context(), events.Header{"ce-traceparent": {traceParent}, "ce-tracestate": {"vendor=a%20b,other=1"}})
}

func TestATraceGoesOnThroughBothModes(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	binary := lifecycle(events.ErrorOccurred).Header
	events.SetTrace(traced(t), binary)
	structured := events.Header{"content-type": {"application/cloudevents+json"}}
	d := deliveryOf(n.Action(refOf(ava)), structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"`+traceParent+`","tracestate":"vendor=a b,other=1"}`)
	if _, err := n.ReadAction(d); err != nil {
		t.Fatal(err)
	}
	for mode, h := range map[string]events.Header{
		"binary": binary, "structured": d.Header, "plain headers": {"Traceparent": {traceParent}, "TraceState": {"vendor=a b,other=1"}},
	} {
		ctx := events.WithTrace(t.Context(), h)
		sc := trace.SpanContextFromContext(ctx)
		if events.TraceID(ctx) != traceID || sc.TraceState().String() != "vendor=a b,other=1" || !sc.IsSampled() {
			t.Errorf("%s: got trace %q, state %q", mode, events.TraceID(ctx), sc.TraceState())
		}
	}
}

func TestTheTraceOfTheCallerReplacesThatOfTheEvent(t *testing.T) {
	t.Parallel()
	h := events.Encode(goldenEvent(t)).Header
	events.SetTrace(t.Context(), h)
	if events.TraceID(events.WithTrace(t.Context(), h)) != traceID {
		t.Error("without a trace of the caller the event's own is gone")
	}
	events.SetTrace(events.EnsureTrace(t.Context()), h)
	if events.TraceID(events.WithTrace(t.Context(), h)) == traceID {
		t.Error("got the event's own")
	}
}

func TestMalformedTracesAreIgnored(t *testing.T) {
	t.Parallel()
	for _, parent := range []string{"", "x", "00-0-0-01", "%ff", "00-" + traceID + "-0000000000000000-01"} {
		ctx := events.WithTrace(t.Context(), events.Header{"ce-traceparent": {parent}, "ce-tracestate": {"\x00"}})
		if id := events.TraceID(ctx); id != "" {
			t.Errorf("%q: got trace %s", parent, id)
		}
	}
}

func TestEnsureTraceMakesOneOnly(t *testing.T) {
	t.Parallel()
	a := events.EnsureTrace(t.Context())
	if id := events.TraceID(a); len(id) != 32 || id != events.TraceID(events.EnsureTrace(a)) {
		t.Errorf("got %q, then %q", id, events.TraceID(events.EnsureTrace(a)))
	}
	if events.TraceID(a) == events.TraceID(events.EnsureTrace(t.Context())) {
		t.Error("two traces have one id")
	}
}

func TestATraceTravelsWithWhatIsPublished(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	ctx := events.EnsureTrace(t.Context())
	if _, err := q.Bus.Publish(ctx, q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred), lifecycle(events.ErrorOccurred), nil); err != nil {
		t.Fatal(err)
	}
	if err := q.Bus.PublishAction(ctx, request("1")); err != nil {
		t.Fatal(err)
	}
	for _, s := range []events.Stream{events.Lifecycle, events.Actions} {
		d, err := q.Streams.Message(t.Context(), s, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := events.TraceID(events.WithTrace(t.Context(), d.Header)); got != events.TraceID(ctx) {
			t.Errorf("%s: got trace %q, want %q", s, got, events.TraceID(ctx))
		}
	}
}
