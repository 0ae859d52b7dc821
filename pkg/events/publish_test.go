package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func lifecycle(kind events.Kind) *events.Message {
	return events.NewLifecycle("executor", kind, events.About{Tenant: ava, Connector: "demo-key"}, events.Data{})
}

func TestPublishReturnsWhenTheStreamHasTheEvent(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	e := lifecycle(events.ConnectorConnected)
	subject := bus.Event(ava, "demo-key", events.ConnectorConnected)
	ack, err := bus.Publish(t.Context(), subject, e, nil)
	if err != nil || ack.Sequence != 1 || ack.Duplicate {
		t.Fatalf("Publish: %+v, %v", ack, err)
	}
	d, err := bus.Message(t.Context(), events.Lifecycle, 1)
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
	_, bus := start(t)
	subject := bus.Result(refOf(ava), "1")
	var won, lost atomic.Int32
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			_, err := bus.Publish(t.Context(), subject, lifecycle(events.ActionCompleted), &events.PublishOptions{First: true})
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
	_, bus := start(t)
	subject := bus.Webhook(ava, "demo-key", "x", events.DeliveryToken("c_1", events.FromProvider, "evt_1"))
	first := &events.PublishOptions{First: true}
	if _, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), first); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), first)
	wantError(t, "a repetition", err, events.ErrExists)
	if errors.Is(err, events.ErrInProgress) {
		t.Errorf("got %v for a repetition of what is stored", err)
	}
	if _, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), nil); err == nil {
		t.Error("a publish without an expectation replaced the webhook")
	}
	if d, err := bus.Message(t.Context(), events.Webhooks, 1); err != nil || d.Subject != subject {
		t.Errorf("the first copy is %+v, %v", d, err)
	}
}

func TestAMessageIDMakesRepetitionsOne(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	subject := bus.Event(ava, "demo-key", events.WebhookReceived)
	for _, id := range []string{"a/1", "b/1", "a b\r\nNats-Rollup: all", strings.Repeat("x", 10000), "ü\xff\x00"} {
		for i := range 2 {
			ack, err := bus.Publish(t.Context(), subject, lifecycle(events.WebhookReceived), &events.PublishOptions{MsgID: id})
			if err != nil || ack.Duplicate != (i == 1) {
				t.Errorf("id %.20q, time %d: %+v, %v", id, i+1, ack, err)
			}
		}
	}
	if got := state(t, bus, events.Lifecycle).Messages; got != 5 {
		t.Errorf("%d messages, want 5", got)
	}
	d, err := bus.Message(t.Context(), events.Lifecycle, 4)
	if err != nil || len(d.Header.Get(jetstream.MsgIDHeader)) > 100 {
		t.Errorf("a long id is carried as %q, %v", d.Header.Get(jetstream.MsgIDHeader), err)
	}
}

func TestSubjectsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	for _, subject := range []string{
		"", ".", "hawser.event..x", ".hawser.event.x", "hawser.event.x.", "hawser.event.*", "hawser.event.>", "hawser.event.a*b",
		"hawser.event.a b", "hawser.event.a\r\nPUB x 0\r\n", "hawser.event.\x00", "hawser.event.\x7f", "hawser.event." + strings.Repeat("x", 2048),
	} {
		_, err := bus.Publish(t.Context(), subject, lifecycle(events.ErrorOccurred), nil)
		wantError(t, "publish on "+subject[:min(len(subject), 30)], err, events.ErrSubject)
		if len(err.Error()) > 400 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		_, _, err = bus.Ask(t.Context(), subject, nil)
		wantError(t, "ask on "+subject[:min(len(subject), 30)], err, events.ErrSubject)
	}
	if got := state(t, bus, events.Lifecycle).Messages; got != 0 {
		t.Errorf("%d messages were stored", got)
	}
}

func TestWhatIsTooLargeIsToldFromWhatIsUnavailable(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, &testenv.Options{MaxPayload: 128 << 10})
	bus := busOn(t, env.Conn(t))
	ensure(t, bus, events.Topology{})
	subject := bus.Webhook(ava, "demo-key", "x", "d1")
	publish := func(size int) error {
		_, err := bus.Publish(t.Context(), subject, events.New("ingress", "t", events.About{Tenant: ava, Connector: "c"}, make([]byte, size)), nil)
		return err
	}
	err := publish(128 << 10)
	wantError(t, "larger than the server takes", err, events.ErrTooLarge)
	if errors.Is(err, events.ErrUnavailable) {
		t.Errorf("%v: trying again cannot help", err)
	}
	c := configOf(t, bus, events.Webhooks)
	c.MaxMsgSize = 1024
	if _, err := bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantError(t, "larger than the stream takes", publish(2048), events.ErrTooLarge)
	if err := publish(10); err != nil {
		t.Errorf("a small one: %v", err)
	}
}

func TestAFullStreamIsUnavailableAndDropsNothing(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	ensure(t, bus, events.Topology{WebhooksMaxBytes: 64 << 10})
	stored := 0
	for {
		_, err := bus.Publish(t.Context(), bus.Webhook(ava, "demo-key", "x", events.NewID()), events.New("ingress", "t", events.About{Tenant: ava, Connector: "c"}, make([]byte, 4096)), nil)
		if err != nil {
			wantError(t, "publish into a full stream", err, events.ErrUnavailable)
			break
		}
		stored++
	}
	if got := state(t, bus, events.Webhooks).Messages; stored < 10 || got != uint64(stored) {
		t.Errorf("%d were acknowledged, %d are there", stored, got)
	}
}

func TestAFullStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, &testenv.Options{MaxStore: 32 << 20}).Conn(t))
	ensure(t, bus, events.Topology{})
	a := request("1")
	a.Input = make([]byte, 900<<10)
	for range 100 {
		if err := bus.PublishAction(t.Context(), a); err != nil {
			wantError(t, "publish into a full store", err, events.ErrUnavailable)
			return
		}
	}
	t.Error("a store of 32 MiB took 90 MiB")
}

func TestASubjectWithoutStreamIsUnavailable(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	_, err := bus.Publish(t.Context(), "elsewhere.x", lifecycle(events.ErrorOccurred), nil)
	wantError(t, "publish where no stream listens", err, events.ErrUnavailable)
}

// What a header of the publisher says must not become another header, or an
// instruction to the server.
func TestAttributesCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	evil := "x\r\nNats-Rollup: all\r\nNats-Expected-Last-Sequence: 99"
	e := events.New("ingress", evil, events.About{Tenant: events.Tenant{Scope: "o", Identity: evil}, Connector: "c", Account: evil}, nil)
	e.SetDataContentType("text/plain" + evil)
	if _, err := bus.Publish(t.Context(), bus.Event(ava, "demo-key", events.ErrorOccurred), e, nil); err != nil {
		t.Fatal(err)
	}
	d, err := bus.Message(t.Context(), events.Lifecycle, 1)
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
	if _, err := events.NewBus(&nats.Conn{}, &events.Options{Prefix: "a.b"}); err == nil {
		t.Error("want an error")
	}
}

// crowd has goroutines do something with 20 marks each, of their own.
func crowd(goroutines int, do func(n int, mark string)) {
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			for n := range 20 {
				do(n, fmt.Sprintf("%d-%d", g, n))
			}
		})
	}
	running.Wait()
}

func marked(mark string) *events.Message {
	return events.New("ingress", "t."+mark, events.About{Tenant: ava, Connector: "demo-key"}, []byte(mark))
}

// wantMarked wants the first n webhooks of the stream to be whole, and returns them.
func wantMarked(t *testing.T, bus *events.Bus, n int) (all []*events.Delivery) {
	t.Helper()
	for i := range n {
		d, err := bus.Message(t.Context(), events.Webhooks, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		mark := string(d.Data)
		e, err := events.Decode(d.Header, d.Data)
		if err != nil || e.Type() != "t."+mark || d.Subject != bus.Webhook(ava, "demo-key", mark, "d1") {
			t.Errorf("%s is stored as %v on %s, %v", mark, d.Header, d.Subject, err)
		}
		all = append(all, d)
	}
	return all
}

// Nobody knows what became of it, so it is published again, and it is whole.
func TestAMessageThatWasNotWaitedForCanBePublishedAgain(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	crowd(8, func(_ int, mark string) {
		e, subject, opts := marked(mark), bus.Webhook(ava, "demo-key", mark, "d1"), &events.PublishOptions{First: true}
		p, err := bus.PublishAsync(t.Context(), subject, e, opts)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := p.Wait(gone); err == nil {
			return // the ack was there before
		}
		if _, err := bus.Publish(t.Context(), subject, e, opts); err != nil && !errors.Is(err, events.ErrExists) {
			t.Error(err)
		}
	})
	wantMarked(t, bus, 8*20)
}

// The memory of a message serves the next one: neither may show in the other.
func TestAMessageThatWasPublishedIsSpentAndShowsInNoOther(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	first := &events.PublishOptions{First: true}
	crowd(16, func(n int, mark string) {
		e, subject := marked(mark), bus.Webhook(ava, "demo-key", mark, "d1")
		for i := range (n * 7) % 40 { // more than a sheet has room for, sometimes
			e.Header[fmt.Sprintf("X-%d", i)] = []string{mark}
		}
		id := e.ID()
		var err error
		if n%5 == 0 {
			err = bus.Send(t.Context(), subject, e)
		} else {
			_, err = bus.Publish(t.Context(), subject, e, first)
		}
		if err != nil {
			t.Error(err)
		}
		if e.ID() != id || e.Header != nil || e.Data != nil {
			t.Errorf("a spent message holds %v, %s", e.Header, e.Data)
		}
		if _, err := bus.Publish(t.Context(), subject, e, nil); err == nil || bus.Send(t.Context(), subject, e) == nil {
			t.Error("a spent message was published")
		}
		again := lifecycle(events.ActionStarted)
		if _, err := bus.Publish(t.Context(), subject, again, first); !errors.Is(err, events.ErrExists) {
			t.Errorf("published twice: %v", err)
		} else if again.Header.Get("ce-id") != again.ID() {
			t.Errorf("a message that was refused has lost its headers: %v", again.Header)
		}
	})
	for _, d := range wantMarked(t, bus, 16*20) {
		for name, values := range d.Header {
			if strings.HasPrefix(name, "X-") && values[0] != string(d.Data) {
				t.Errorf("%s has the header %s: %s", d.Data, name, values[0])
			}
		}
	}
}
