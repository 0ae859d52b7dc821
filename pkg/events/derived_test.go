package events_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestADerivedIDIsAnIDOfTheSameMoment(t *testing.T) {
	t.Parallel()
	parent, other := events.NewID(), events.NewID()
	id := events.DerivedID(parent, "announced")
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 {
		t.Fatalf("%s: %v, want a UUIDv7", id, err)
	}
	if id[:13] != parent[:13] {
		t.Errorf("%s is of another moment than %s", id, parent)
	}
	if again := events.DerivedID(parent, "announced"); again != id {
		t.Errorf("%s the second time, %s the first", again, id)
	}
	for _, e := range []string{parent, events.DerivedID(parent, "received"), events.DerivedID(other, "announced")} {
		if e == id {
			t.Errorf("%s is the id of two events", e)
		}
	}
	if u, err := uuid.Parse(events.DerivedID("no UUID", "x")); err != nil || u.Version() != 7 {
		t.Errorf("of a foreign id: %v %v", u, err)
	}
}
