package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// parked is what came out of the parking place, and when.
type parked struct {
	*events.StoredMessage
	action events.Action
	at     time.Time
}

// dueRequests is what becomes due for demo-key.
func dueRequests(t testing.TB, q *queue.Queue) <-chan parked {
	t.Helper()
	out := make(chan parked, 8)
	consume(t, q, events.Consumer{Name: "due", Stream: queue.Parked, Filter: q.Subjects.DueActionFilter("demo-key")},
		func(_ context.Context, d *events.StoredMessage) error {
			now := time.Now()
			a, err := q.Subjects.ReadAction(d)
			if err != nil {
				t.Errorf("ReadAction: %v", err)
			}
			out <- parked{d, a, now}
			return nil
		})
	return out
}

func mustPark(t testing.TB, q *queue.Queue, a events.Action, at time.Time) {
	t.Helper()
	if err := q.Park(t.Context(), a, at); err != nil {
		t.Fatalf("Park: %v", err)
	}
}

func TestAParkedRequestComesBackAtItsTime(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	due := dueRequests(t, q)
	a := request("order 7")
	a.Account, a.Attempt, a.High, a.Deadline = "second", 2, true, time.Now().Add(time.Hour).UTC()
	// Just before a full second, so that a time cut to the second would be early.
	at := time.Now().Truncate(time.Second).Add(1990 * time.Millisecond)
	mustPark(t, q, a, at)
	got := testenv.Receive(t, "the request", due)
	if early := at.Sub(got.at); early > 0 {
		t.Errorf("came %v early", early)
	}
	if diff := cmp.Diff(a, got.action); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	waitFor(t, "an empty parking place", func() bool { return state(t, q, queue.Parked).Messages == 0 })
}

func TestARequestParkedForThePastComesAtOnce(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	due := dueRequests(t, q)
	mustPark(t, q, request("1"), time.Now().Add(-time.Hour))
	testenv.Receive(t, "the request", due)
}

func TestParkingAgainReplacesWhatWaits(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	due := dueRequests(t, q)
	a := request("1")
	mustPark(t, q, a, time.Now().Add(time.Hour))
	a.Attempt = 3
	mustPark(t, q, a, time.Now())
	if got := testenv.Receive(t, "the request", due); got.action.Attempt != 3 {
		t.Errorf("attempt %d, want that of the second parking", got.action.Attempt)
	}
	waitFor(t, "an empty parking place", func() bool { return state(t, q, queue.Parked).Messages == 0 })
}

func TestRequestsOfTheSameIDAreParkedApart(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	due := dueRequests(t, q)
	for _, tenant := range []events.Tenant{ava, bob} {
		mustPark(t, q, events.Action{ActionRef: refOf(tenant), ID: "same", Input: []byte(`{}`)}, time.Now())
	}
	if a, b := testenv.Receive(t, "one", due), testenv.Receive(t, "another", due); a.action.Identity == b.action.Identity {
		t.Errorf("both are of %s", a.action.Identity)
	}
}

// Whatever else a client sent must not wait to become an instruction, and what the
// server adds is all that may come on top.
func TestAParkedRequestKeepsOnlyItsOwnHeaders(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	due := dueRequests(t, q)
	d := &events.StoredMessage{Subject: q.Bus.Subjects.Action(refOf(ava)), Data: []byte(`{}`), Header: events.Header{
		"ce-id": {"1"}, "ce-type": {"evil"}, "ce-custom": {"x"}, "X-Evil": {"x"}, events.HeaderAttempt: {"9"},
		"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Source": {"hawser.>"}, "Nats-Schedule-TTL": {"1s"}, "Nats-Rollup": {"all"}, "Nats-TTL": {"1s"},
	}}
	a, err := q.Subjects.ReadAction(d)
	if err != nil {
		t.Fatal(err)
	}
	ctx := events.EnsureTrace(t.Context())
	if err := q.Park(ctx, a, time.Now()); err != nil {
		t.Fatal(err)
	}
	got := testenv.Receive(t, "the request", due)
	want := a.Message().Header
	want["ce-traceparent"] = got.Header["ce-traceparent"]
	want[jetstream.SchedulerHeader] = []string{q.Subjects.Parked(a.ActionRef, "1")}
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
	env, q := start(t)
	at := time.Now().Add(time.Second)
	mustPark(t, q, request("1"), at)
	env.Restart(t)
	due := dueRequests(t, q)
	if got := testenv.Receive(t, "the request", due); got.at.Before(at) {
		t.Errorf("came %v early", at.Sub(got.at))
	}
}

func TestABuriedRequestTellsItsStoryOnce(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	a := request("order 7")
	a.Attempt = 5
	for range 2 {
		if err := q.DeadLetter(events.EnsureTrace(t.Context()), a, "CONNECTOR_ACTION_FAILED"); err != nil {
			t.Fatal(err)
		}
	}
	other := a
	other.Tenant = bob
	if err := q.DeadLetter(t.Context(), other, "X\r\nNats-Rollup: all"); err != nil {
		t.Fatal(err)
	}
	if got := state(t, q, queue.Dead).Messages; got != 2 {
		t.Errorf("%d letters, want one for each tenant", got)
	}
	d, err := q.Streams.First(t.Context(), queue.Dead, 1, q.Subjects.DeadAction(a.ActionRef))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Header.Get(queue.HeaderReason); got != "CONNECTOR_ACTION_FAILED" {
		t.Errorf("reason: got %q", got)
	}
	if got := d.Header.Get(queue.HeaderSubject); got != q.Bus.Subjects.Action(a.ActionRef) {
		t.Errorf("subject: got %q", got)
	}
	e, err := events.Decode(d.Header, d.Data)
	if err != nil || e.ID() != "order 7" || string(e.Data()) != string(a.Input) || d.Header.Get(events.HeaderAttempt) != "5" {
		t.Errorf("letter: %v, %v", e, err)
	}
}
