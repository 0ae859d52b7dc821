package events_test

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

// letter returns the only dead letter.
func letter(t *testing.T, bus *events.Bus) *events.Delivery {
	t.Helper()
	d, err := bus.First(patient(t), events.Dead, 1, ">")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func holds(t *testing.T, bus *events.Bus, s events.Stream, filter string, want uint64) {
	t.Helper()
	subjects, err := bus.Subjects(patient(t), s, filter)
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
	_, bus := start(t)
	for n := range uint64(2) {
		webhook := &events.Delivery{Subject: bus.Webhook(ava, "demo-key", "order", "d1"), Header: events.Header{"ce-id": {"w1"}}, Data: []byte(`{}`), Sequence: n}
		if err := bus.BuryWebhook(patient(t), webhook, "w1", 5, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, bus)
		for range 2 {
			if err := bus.Redrive(patient(t), dead, ""); err != nil {
				t.Fatal(err)
			}
		}
		// One that was redriven, died again, and is redriven again, is handed out again.
		holds(t, bus, events.Parked, "hawser.due.webhook.>", n+1)
		if err := bus.Remove(patient(t), events.Dead, dead.Sequence); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARedrivenActionHasAnIDThatItKeepsHoweverOftenItIsAskedFor(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	for _, id := range []string{"order 7", strings.Repeat("x", 1024)} {
		a := request(id)
		a.MadeUp = true
		if err := bus.Bury(patient(t), a, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, bus)
		about, err := bus.ParseDead(dead)
		if err != nil {
			t.Fatal(err)
		}
		newID := events.RedrivenID(about, dead)
		if newID == id || newID != events.RedrivenID(about, dead) {
			t.Errorf("%.20s is redriven as %.40s", id, newID)
		}
		if err := bus.Redrive(patient(t), dead, newID); err != nil {
			t.Fatal(err)
		}
		d, err := bus.First(patient(t), events.Actions, 1, ">")
		if err != nil {
			t.Fatal(err)
		}
		// Whoever takes it has to look whether it has a result.
		if got, err := bus.ReadAction(d); err != nil || got.ID != newID || got.MadeUp {
			t.Errorf("%.20s comes as %+v, %v", id, got, err)
		}
		for s, sequence := range map[events.Stream]uint64{events.Dead: dead.Sequence, events.Actions: d.Sequence} {
			if err := bus.Remove(patient(t), s, sequence); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The event's own retention, and that of its body, is over when it is redriven.
func TestTheLargeBodyOfADeadWebhookLivesAsLongAsTheLetter(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	ref, err := bus.PutBody(patient(t), "w1", []byte("large"))
	if err != nil {
		t.Fatal(err)
	}
	webhook := &events.Delivery{Subject: bus.Webhook(ava, "demo-key", "order", "d1"), Header: events.Header{"ce-id": {"w1"}, "ce-dataref": {ref}}, Sequence: 1}
	for range 2 { // it dies again after it was redriven
		if err := bus.BuryWebhook(patient(t), webhook, "w1", 5, "INTERNAL"); err != nil {
			t.Fatal(err)
		}
		if err := bus.DropBody(patient(t), "w1"); err != nil {
			t.Fatal(err)
		}
		dead := letter(t, bus)
		if err := bus.Redrive(patient(t), dead, ""); err != nil {
			t.Fatal(err)
		}
		if err := bus.Remove(patient(t), events.Dead, dead.Sequence); err != nil {
			t.Fatal(err)
		}
		due, err := bus.First(patient(t), events.Parked, 1, "hawser.due.webhook.>")
		if err != nil {
			t.Fatal(err)
		}
		if webhook, err = bus.DueWebhook(patient(t), due); err != nil {
			t.Fatal(err)
		}
		if body, err := bus.Body(patient(t), webhook); err != nil || string(body) != "large" {
			t.Fatalf("its body is %q, %v", body, err)
		}
		if err := bus.Remove(patient(t), events.Parked, due.Sequence); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := bus.JetStream().Stream(patient(t), "OBJ_hawser-dead-bodies")
	if err != nil {
		t.Fatal(err)
	}
	if age, letters := kept.CachedInfo().Config.MaxAge, configOf(t, bus, events.Dead).MaxAge; age < letters {
		t.Errorf("bodies are kept for %v, and letters for %v", age, letters)
	}
}
