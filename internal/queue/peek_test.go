package queue_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestSubjectsCountsWhatMatches(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for _, tenant := range []events.Tenant{ava, ava, bob} {
		publishAction(t, q, events.Action{ActionRef: refOf(tenant), ID: events.NewID()})
	}
	got, err := q.Streams.SubjectCounts(t.Context(), events.Actions, q.Bus.Subjects.Actions())
	want := map[string]uint64{q.Bus.Subjects.Action(refOf(ava)): 2, q.Bus.Subjects.Action(refOf(bob)): 1}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Subjects: %v (-want +got):\n%s", err, diff)
	}
	got, err = q.Streams.SubjectCounts(t.Context(), events.Actions, "hawser.action.*.bob.>")
	if err != nil || len(got) != 1 {
		t.Errorf("Subjects of bob: %v, %v", got, err)
	}
	if got, err = q.Streams.SubjectCounts(t.Context(), events.Results, ">"); err != nil || len(got) != 0 {
		t.Errorf("Subjects of an empty stream: %v, %v", got, err)
	}
	if st := state(t, q, events.Actions); st.Messages != 3 || st.Subjects != 2 || st.Bytes == 0 {
		t.Errorf("State: %+v", st)
	}
}

func TestFirstWalksThroughAStream(t *testing.T) {
	t.Parallel()
	// A stream that is read directly, and one that is not.
	_, q := start(t)
	subject := map[events.Stream]func(i int) string{
		events.Actions: func(i int) string {
			return q.Bus.Subjects.Action(events.ActionRef{Tenant: ava, Connector: []string{"a", "b"}[i%2], Action: "x"})
		},
		events.Lifecycle: func(i int) string {
			return q.Bus.Subjects.Event(ava, []string{"a", "b"}[i%2], events.ErrorOccurred)
		},
	}
	for s, of := range subject {
		for i := range 6 {
			if _, err := q.Bus.Publish(t.Context(), of(i), lifecycle(events.ErrorOccurred), nil); err != nil {
				t.Fatal(err)
			}
		}
		var seen []uint64
		for from := uint64(0); ; {
			d, err := q.Streams.First(t.Context(), s, from, of(1))
			if err != nil {
				wantError(t, fmt.Sprintf("First of %s at the end", s), err, events.ErrNotFound)
				break
			}
			if d.Subject != of(1) || d.NumDelivered != 1 || d.Header.Get("ce-id") == "" || d.Header.Get("Nats-Sequence") != "" {
				t.Errorf("%s: got %+v", s, d)
			}
			seen = append(seen, d.Sequence)
			from = d.Sequence + 1
		}
		if diff := cmp.Diff([]uint64{2, 4, 6}, seen); diff != "" {
			t.Errorf("%s: sequences (-want +got):\n%s", s, diff)
		}
	}
}

func TestRemovingTwiceIsRemovingOnce(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	publishAction(t, q, request("2"))
	for range 2 {
		if err := q.Streams.Remove(t.Context(), events.Actions, 1); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	if err := q.Streams.Remove(t.Context(), events.Actions, 99); err != nil {
		t.Errorf("Remove of what never was: %v", err)
	}
	_, err := q.Streams.Message(t.Context(), events.Actions, 1)
	wantError(t, "Message 1", err, events.ErrNotFound)
	if d, err := q.Streams.Message(t.Context(), events.Actions, 2); err != nil || d.Header.Get("ce-id") != "2" {
		t.Errorf("Message 2: %v", err)
	}
}

func TestWhatCannotBeRemovedIsAnError(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	c := configOf(t, q, events.Actions)
	c.DenyDelete = true
	if _, err := q.Bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := q.Streams.Remove(t.Context(), events.Actions, 1); err == nil {
		t.Error("Remove from a stream that denies it: want an error")
	}
	if got := state(t, q, events.Actions).Messages; got != 1 {
		t.Errorf("%d messages", got)
	}
}

func TestLookingAtAStreamThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for _, s := range []events.Stream{events.Actions, events.Lifecycle} {
		_ = state(t, q, s) // its handle is kept
		if err := q.Bus.JetStream().DeleteStream(t.Context(), q.Bus.Subjects.StreamName(s)); err != nil {
			t.Fatal(err)
		}
		_, err := q.Streams.State(t.Context(), s)
		wantError(t, "State", err, events.ErrUnavailable)
		_, err = q.Streams.SubjectCounts(t.Context(), s, ">")
		wantError(t, "Subjects", err, events.ErrUnavailable)
		_, err = q.Streams.Message(t.Context(), s, 1)
		wantError(t, "Message", err, events.ErrUnavailable)
		wantError(t, "Remove", q.Streams.Remove(t.Context(), s, 1), events.ErrUnavailable)
	}
}
