package queue_test

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// letter returns the only dead letter.
func letter(t *testing.T, q *queue.Queue) *events.StoredMessage {
	t.Helper()
	d, err := q.Streams.First(bounded(t), queue.Dead, 1, ">")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func holds(t *testing.T, q *queue.Queue, s events.Stream, filter string, want uint64) {
	t.Helper()
	subjects, err := q.Streams.SubjectCounts(bounded(t), s, filter)
	if err != nil {
		t.Fatal(err)
	}
	var got uint64
	for _, n := range subjects {
		got += n
	}
	if got != want {
		t.Errorf("%s holds %d messages on %s, want %d", s, got, filter, want)
	}
}

// The first who asked has died before the letter was removed, and it is asked for again.
func TestADeadWebhookThatIsRedrivenTwiceIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for n := range uint64(2) {
		webhook := &events.StoredMessage{Subject: q.Bus.Subjects.Webhook(ava, "demo-key", "order", "d1"), Header: events.Header{"ce-id": {"w1"}}, Data: []byte(`{}`), Sequence: n}
		if err := q.DeadLetterWebhook(bounded(t), webhook, "w1", 5, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, q)
		for range 2 {
			if err := q.Redrive(bounded(t), dead); err != nil {
				t.Fatal(err)
			}
		}
		// One that was redriven, died again, and is redriven again, is handed out again.
		holds(t, q, queue.Parked, "hawser.due.webhook.>", n+1)
		if err := q.Streams.Remove(bounded(t), queue.Dead, dead.Sequence); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARedrivenActionHasAnIDThatItKeepsHoweverOftenItIsAskedFor(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for _, id := range []string{"order 7", strings.Repeat("x", 1024)} {
		a := request(id)
		a.GeneratedID = true
		if err := q.DeadLetter(bounded(t), a, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, q)
		about, err := q.Subjects.ReadDeadLetter(dead)
		if err != nil {
			t.Fatal(err)
		}
		newID := about.RedrivenID()
		if newID == id || newID != about.RedrivenID() {
			t.Errorf("%.20s is redriven as %.40s", id, newID)
		}
		if err := q.Redrive(bounded(t), dead); err != nil {
			t.Fatal(err)
		}
		d, err := q.Streams.First(bounded(t), events.Actions, 1, ">")
		if err != nil {
			t.Fatal(err)
		}
		// Whoever takes it has to look whether it has a result.
		if got, err := q.Subjects.ReadAction(d); err != nil || got.ID != newID || got.GeneratedID {
			t.Errorf("%.20s comes as %+v, %v", id, got, err)
		}
		for s, sequence := range map[events.Stream]uint64{queue.Dead: dead.Sequence, events.Actions: d.Sequence} {
			if err := q.Streams.Remove(bounded(t), s, sequence); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The event's own retention, and that of its body, is over when it is redriven.
func TestTheLargeBodyOfADeadWebhookLivesAsLongAsTheLetter(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	ref, err := q.Bodies.Put(bounded(t), "w1", []byte("large"))
	if err != nil {
		t.Fatal(err)
	}
	webhook := &events.StoredMessage{Subject: q.Bus.Subjects.Webhook(ava, "demo-key", "order", "d1"), Header: events.Header{"ce-id": {"w1"}, "ce-dataref": {ref}}, Sequence: 1}
	for range 2 { // it dies again after it was redriven
		if err := q.DeadLetterWebhook(bounded(t), webhook, "w1", 5, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		if err := q.Bodies.Delete(bounded(t), "w1"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, q)
		if err := q.Redrive(bounded(t), dead); err != nil {
			t.Fatal(err)
		}
		if err := q.Streams.Remove(bounded(t), queue.Dead, dead.Sequence); err != nil {
			t.Fatal(err)
		}
		due, err := q.Streams.First(bounded(t), queue.Parked, 1, "hawser.due.webhook.>")
		if err != nil {
			t.Fatal(err)
		}
		if webhook, err = q.DueWebhook(bounded(t), due); err != nil {
			t.Fatal(err)
		}
		if body, err := q.Bodies.Get(bounded(t), webhook); err != nil || string(body) != "large" {
			t.Fatalf("its body is %q, %v", body, err)
		}
		if err := q.Streams.Remove(bounded(t), queue.Parked, due.Sequence); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := q.Bus.JetStream().Stream(bounded(t), "OBJ_hawser-dead-bodies")
	if err != nil {
		t.Fatal(err)
	}
	if age, letters := kept.CachedInfo().Config.MaxAge, configOf(t, q, queue.Dead).MaxAge; age < letters {
		t.Errorf("bodies are kept for %v, and letters for %v", age, letters)
	}
}
