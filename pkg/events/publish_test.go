package events_test

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func lifecycle(kind events.Kind) *events.Message {
	return events.NewLifecycle("executor", kind, events.EventContext{Tenant: ava, Connector: "demo-key"}, events.Data{})
}

func TestPublishReturnsWhenTheStreamHasTheEvent(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	e := lifecycle(events.ConnectorConnected)
	subject := q.Bus.Subjects.Event(ava, "demo-key", events.ConnectorConnected)
	ack, err := q.Bus.Publish(t.Context(), subject, e, nil)
	if err != nil || ack.Sequence != 1 || ack.Duplicate {
		t.Fatalf("Publish: %+v, %v", ack, err)
	}
	d, err := q.Streams.Message(t.Context(), events.Lifecycle, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := events.Decode(d.Header, d.Data)
	if err != nil || got.ID() != e.ID() || d.Subject != subject {
		t.Errorf("stored: %s on %s, %v", got.ID(), d.Subject, err)
	}
}

func TestFirstIsOneOfAllWhoTry(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	subject := q.Bus.Subjects.Result(refOf(ava), "1")
	var won, lost atomic.Int32
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			_, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.ActionCompleted), &events.PublishOptions{ExpectEmpty: true})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, events.ErrExists):
				lost.Add(1)
			default:
				t.Errorf("Publish: %v", err)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d were first and %d came too late, want 1 and 15", won.Load(), lost.Load())
	}
}

func TestASecondWebhookOnASubjectIsRefusedHoweverItIsPublished(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	subject := q.Bus.Subjects.Webhook(ava, "demo-key", "x", events.DeliveryToken("c_1", events.FromProvider, "evt_1"))
	empty := &events.PublishOptions{ExpectEmpty: true}
	if _, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), empty); err != nil {
		t.Fatal(err)
	}
	_, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), empty)
	wantError(t, "a repetition", err, events.ErrExists)
	if errors.Is(err, events.ErrInProgress) {
		t.Errorf("got %v for a repetition of what is stored", err)
	}
	if _, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil); err == nil {
		t.Error("a publish without an expectation replaced the webhook")
	}
	if d, err := q.Streams.Message(t.Context(), events.Webhooks, 1); err != nil || d.Subject != subject {
		t.Errorf("the first copy is %+v, %v", d, err)
	}
}

func TestAMessageIDMakesRepetitionsOne(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	subject := q.Bus.Subjects.Event(ava, "demo-key", events.WebhookReceived)
	for _, id := range []string{"a/1", "b/1", "a b\r\nNats-Rollup: all", strings.Repeat("x", 10000), "ü\xff\x00"} {
		for i := range 2 {
			ack, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), &events.PublishOptions{MsgID: id})
			if err != nil || ack.Duplicate != (i == 1) {
				t.Errorf("id %.20q, time %d: %+v, %v", id, i+1, ack, err)
			}
		}
	}
	if got := state(t, q, events.Lifecycle).Messages; got != 5 {
		t.Errorf("%d messages, want 5", got)
	}
	d, err := q.Streams.Message(t.Context(), events.Lifecycle, 4)
	if err != nil || len(d.Header.Get(jetstream.MsgIDHeader)) > 100 {
		t.Errorf("a long id is carried as %q, %v", d.Header.Get(jetstream.MsgIDHeader), err)
	}
}

func TestSubjectsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for _, subject := range []string{
		"", ".", "hawser.event..x", ".hawser.event.x", "hawser.event.x.", "hawser.event.*", "hawser.event.>", "hawser.event.a*b",
		"hawser.event.a b", "hawser.event.a\r\nPUB x 0\r\n", "hawser.event.\x00", "hawser.event.\x7f", "hawser.event." + strings.Repeat("x", 2048),
	} {
		_, err := q.Bus.Publish(t.Context(), subject, lifecycle(events.ErrorOccurred), nil)
		wantError(t, "publish on "+subject[:min(len(subject), 30)], err, events.ErrSubject)
		if len(err.Error()) > 400 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		_, _, err = q.Bus.Request(t.Context(), subject, nil)
		wantError(t, "ask on "+subject[:min(len(subject), 30)], err, events.ErrSubject)
	}
	if got := state(t, q, events.Lifecycle).Messages; got != 0 {
		t.Errorf("%d messages were stored", got)
	}
}

func TestWhatIsTooLargeIsToldFromWhatIsUnavailable(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, &testenv.Options{MaxPayload: 128 << 10})
	q := queueOn(t, env.Conn(t))
	ensure(t, q, queue.Topology{})
	subject := q.Bus.Subjects.Webhook(ava, "demo-key", "x", "d1")
	publish := func(size int) error {
		_, err := q.Bus.Publish(t.Context(), subject, events.New("ingress", "t", events.EventContext{Tenant: ava, Connector: "c"}, make([]byte, size)), nil)
		return err
	}
	err := publish(128 << 10)
	wantError(t, "larger than the server takes", err, events.ErrTooLarge)
	if errors.Is(err, events.ErrUnavailable) {
		t.Errorf("%v: trying again cannot help", err)
	}
	c := configOf(t, q, events.Webhooks)
	c.MaxMsgSize = 1024
	if _, err := q.Bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantError(t, "larger than the stream takes", publish(2048), events.ErrTooLarge)
	if err := publish(10); err != nil {
		t.Errorf("a small one: %v", err)
	}
}

func TestAFullStreamIsUnavailableAndDropsNothing(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.Start(t, nil).Conn(t))
	ensure(t, q, queue.Topology{WebhooksMaxBytes: 64 << 10})
	stored := 0
	for {
		_, err := q.Bus.Publish(t.Context(), q.Bus.Subjects.Webhook(ava, "demo-key", "x", events.NewID()), events.New("ingress", "t", events.EventContext{Tenant: ava, Connector: "c"}, make([]byte, 4096)), nil)
		if err != nil {
			wantError(t, "publish into a full stream", err, events.ErrUnavailable)
			break
		}
		stored++
	}
	if got := state(t, q, events.Webhooks).Messages; stored < 10 || got != uint64(stored) {
		t.Errorf("%d were acknowledged, %d are there", stored, got)
	}
}

func TestAFullStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.Start(t, &testenv.Options{MaxStore: 32 << 20}).Conn(t))
	ensure(t, q, queue.Topology{})
	a := request("1")
	a.Input = make([]byte, 900<<10)
	for range 100 {
		if err := q.Bus.PublishAction(t.Context(), a); err != nil {
			wantError(t, "publish into a full store", err, events.ErrUnavailable)
			return
		}
	}
	t.Error("a store of 32 MiB took 90 MiB")
}

func TestASubjectWithoutStreamIsUnavailable(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	_, err := q.Bus.Publish(t.Context(), "elsewhere.x", lifecycle(events.ErrorOccurred), nil)
	wantError(t, "publish where no stream listens", err, events.ErrUnavailable)
}

// What a header of the publisher says must not become another header, or an
// instruction to the server.
func TestAttributesCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	evil := "x\r\nNats-Rollup: all\r\nNats-Expected-Last-Sequence: 99"
	e := events.New("ingress", evil, events.EventContext{Tenant: events.Tenant{Scope: "o", Identity: evil}, Connector: "c", Account: evil}, nil)
	e.SetDataContentType("text/plain" + evil)
	if _, err := q.Bus.Publish(t.Context(), q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred), e, nil); err != nil {
		t.Fatal(err)
	}
	d, err := q.Streams.Message(t.Context(), events.Lifecycle, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name := range d.Header {
		if strings.HasPrefix(name, "Nats-") {
			t.Errorf("header %s was injected", name)
		}
	}
}

func TestNewBusRefusesABadPrefix(t *testing.T) {
	t.Parallel()
	if _, err := queue.New(&nats.Conn{}, &queue.Options{Prefix: "a.b"}); err == nil {
		t.Error("want an error")
	}
}

// The options and the trace of a publish belong to that publish only.
func TestAMessageCanBePublishedAgain(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	e, subject := lifecycle(events.ErrorOccurred), q.Bus.Subjects.Event(ava, "demo-key", events.ErrorOccurred)
	before := maps.Clone(e.Header)
	ctx := events.EnsureTrace(t.Context())
	for _, opts := range []*events.PublishOptions{{MsgID: "1", ExpectEmpty: true}, nil, nil} {
		if ack, err := q.Bus.Publish(ctx, subject, e, opts); err != nil || ack.Duplicate {
			t.Errorf("%+v: %+v, %v", opts, ack, err)
		}
	}
	if err := q.Bus.Notify(ctx, subject, e, nil); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, e.Header); diff != "" {
		t.Errorf("a publish changed the message (-before +after):\n%s", diff)
	}
}
