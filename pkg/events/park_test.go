package events_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// parked is what came out of the parking place, and when.
type parked struct {
	*events.Delivery
	action events.Action
	at     time.Time
}

// dueRequests is what becomes due for demo-key.
func dueRequests(t testing.TB, bus *events.Bus) <-chan parked {
	t.Helper()
	out := make(chan parked, 8)
	consume(t, bus, events.Consumer{Name: "due", Stream: events.Parked, Filter: bus.DueFilter("demo-key")},
		func(_ context.Context, d *events.Delivery) error {
			now := time.Now()
			a, err := bus.ReadAction(d)
			if err != nil {
				t.Errorf("ReadAction: %v", err)
			}
			out <- parked{d, a, now}
			return nil
		})
	return out
}

func mustPark(t testing.TB, bus *events.Bus, a events.Action, at time.Time) {
	t.Helper()
	if err := bus.Park(t.Context(), a, at); err != nil {
		t.Fatalf("Park: %v", err)
	}
}

func TestAParkedRequestComesBackAtItsTime(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	due := dueRequests(t, bus)
	a := request("order 7")
	a.Account, a.Attempt, a.High, a.Deadline = "second", 2, true, time.Now().Add(time.Hour).UTC()
	// Just before a full second, so that a time cut to the second would be early.
	at := time.Now().Truncate(time.Second).Add(1990 * time.Millisecond)
	mustPark(t, bus, a, at)
	got := receive(t, "the request", due)
	if early := at.Sub(got.at); early > 0 {
		t.Errorf("came %v early", early)
	}
	if diff := cmp.Diff(a, got.action); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	waitFor(t, "an empty parking place", func() bool { return state(t, bus, events.Parked).Messages == 0 })
}

func TestARequestParkedForThePastComesAtOnce(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	due := dueRequests(t, bus)
	mustPark(t, bus, request("1"), time.Now().Add(-time.Hour))
	receive(t, "the request", due)
}

func TestParkingAgainReplacesWhatWaits(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	due := dueRequests(t, bus)
	a := request("1")
	mustPark(t, bus, a, time.Now().Add(time.Hour))
	a.Attempt = 3
	mustPark(t, bus, a, time.Now())
	if got := receive(t, "the request", due); got.action.Attempt != 3 {
		t.Errorf("attempt %d, want that of the second parking", got.action.Attempt)
	}
	waitFor(t, "an empty parking place", func() bool { return state(t, bus, events.Parked).Messages == 0 })
}

func TestRequestsOfTheSameIDAreParkedApart(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	due := dueRequests(t, bus)
	for _, tenant := range []events.Tenant{ava, bob} {
		mustPark(t, bus, events.Action{ActionRef: refOf(tenant), ID: "same", Input: []byte(`{}`)}, time.Now())
	}
	if a, b := receive(t, "one", due), receive(t, "another", due); a.action.Identity == b.action.Identity {
		t.Errorf("both are of %s", a.action.Identity)
	}
}

// Whatever else a client sent must not wait to become an instruction, and what the
// server adds is all that may come on top.
func TestAParkedRequestKeepsOnlyItsOwnHeaders(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	due := dueRequests(t, bus)
	d := deliveryOf(bus.Action(refOf(ava)), events.Header{
		"ce-id": {"1"}, "ce-type": {"evil"}, "ce-custom": {"x"}, "X-Evil": {"x"}, events.HeaderAttempt: {"9"},
		"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Source": {"hawser.>"}, "Nats-Schedule-TTL": {"1s"}, "Nats-Rollup": {"all"}, "Nats-TTL": {"1s"},
	}, `{}`)
	a, err := bus.ReadAction(d)
	if err != nil {
		t.Fatal(err)
	}
	ctx := events.EnsureTrace(t.Context())
	if err := bus.Park(ctx, a, time.Now()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, "the request", due)
	want := a.Headers()
	want["ce-traceparent"] = got.Header["ce-traceparent"]
	want[jetstream.SchedulerHeader] = []string{bus.Parked(a.ActionRef, "1")}
	want[jetstream.ScheduleNextHeader] = []string{"purge"}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if trace := events.TraceID(events.WithTrace(t.Context(), got.Header)); trace != events.TraceID(ctx) {
		t.Errorf("trace %q, want %q", trace, events.TraceID(ctx))
	}
}

func TestParkedRequestsSurviveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	env, bus := start(t)
	at := time.Now().Add(time.Second)
	mustPark(t, bus, request("1"), at)
	env.Restart(t)
	due := dueRequests(t, bus)
	if got := receive(t, "the request", due); got.at.Before(at) {
		t.Errorf("came %v early", at.Sub(got.at))
	}
}

func TestABuriedRequestTellsItsStoryOnce(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	a := request("order 7")
	a.Attempt = 5
	for range 2 {
		if err := bus.Bury(events.EnsureTrace(t.Context()), a, "CONNECTOR_ACTION_FAILED"); err != nil {
			t.Fatal(err)
		}
	}
	other := a
	other.Tenant = bob
	if err := bus.Bury(t.Context(), other, "X\r\nNats-Rollup: all"); err != nil {
		t.Fatal(err)
	}
	if got := state(t, bus, events.Dead).Messages; got != 2 {
		t.Errorf("%d letters, want one for each tenant", got)
	}
	d, err := bus.First(t.Context(), events.Dead, 1, bus.DeadAction(a.ActionRef))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Header.Get(events.HeaderReason); got != "CONNECTOR_ACTION_FAILED" {
		t.Errorf("reason: got %q", got)
	}
	if got := d.Header.Get(events.HeaderSubject); got != bus.Action(a.ActionRef) {
		t.Errorf("subject: got %q", got)
	}
	e, err := events.Decode(d.Header, d.Data)
	if err != nil || e.ID() != "order 7" || string(e.Data()) != string(a.Input) || d.Header.Get(events.HeaderAttempt) != "5" {
		t.Errorf("letter: %v, %v", e, err)
	}
}
