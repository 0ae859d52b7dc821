package queue_test

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

// The count of attempts is ours. A tenant who could set it could have a request
// tried for ever.
func TestOnlyAParkedRequestSaysHowOftenItWasTried(t *testing.T) {
	t.Parallel()
	s, ref := subjectsOf(t), refOf(ava)
	for _, c := range []struct {
		subject, value string
		want           int
	}{
		{"hawser" + strings.TrimPrefix(s.DueAction(ref), "hawser.due"), "3", 0}, {s.DueAction(ref), "3", 3}, {s.DueAction(ref), "-3", 0}, {s.DueAction(ref), "x", 0}, {s.DueAction(ref), "", 0},
	} {
		a, err := s.ReadAction(&events.StoredMessage{Subject: c.subject, Header: events.Header{"ce-id": {"1"}, events.HeaderAttempt: {c.value}}})
		if err != nil || a.Attempt != c.want {
			t.Errorf("%s, %q: attempt %d, %v, want %d", c.subject, c.value, a.Attempt, err, c.want)
		}
	}
}

// A sender that made the id for this message spares the look for a result.
func TestAFreshIDIsToldAlong(t *testing.T) {
	t.Parallel()
	s := subjectsOf(t)
	a := request(events.NewID())
	for _, fresh := range []bool{true, false} {
		a.GeneratedID = fresh
		got, err := s.ReadAction(&events.StoredMessage{Subject: "hawser" + strings.TrimPrefix(s.DueAction(a.ActionRef), "hawser.due"), Header: a.Message().Header})
		if err != nil || got.GeneratedID != fresh || got.ID != a.ID {
			t.Errorf("fresh %v: got %+v, %v", fresh, got, err)
		}
	}
	a.GeneratedID, a.Attempt = true, 1
	if got, err := s.ReadAction(&events.StoredMessage{Subject: s.DueAction(a.ActionRef), Header: a.Message().Header}); err != nil || got.GeneratedID {
		t.Errorf("tried once: got %+v, %v, want an id that may have a result", got, err)
	}
}
