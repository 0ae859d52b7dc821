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
		webhook := &events.Delivery{Subject: bus.Webhook(ava, "demo-key", "order"), Header: events.Header{"ce-id": {"w1"}}, Data: []byte(`{}`), Sequence: n}
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
