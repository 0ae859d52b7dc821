package kvtest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// family is a set of keys that a careless prefix search mixes up.
var family = []string{
	"a", "a.b", "a.bc", "a.b.c", "a.b.cd", "a.bc.d", "a-b", "a-b.c", "ab", "ab.c", "b", "b.a", "b.b.c", "A.b", "a.b.c.d",
}

// filters and what they match in family.
var filters = map[string][]string{
	">":         family,
	"*":         {"a", "a-b", "ab", "b"},
	"a":         {"a"},
	"a.b":       {"a.b"},
	"a.>":       {"a.b", "a.bc", "a.b.c", "a.b.cd", "a.bc.d", "a.b.c.d"},
	"a.b.>":     {"a.b.c", "a.b.cd", "a.b.c.d"},
	"a.b.*":     {"a.b.c", "a.b.cd"},
	"a.*":       {"a.b", "a.bc"},
	"*.b":       {"a.b", "A.b"},
	"*.b.c":     {"a.b.c", "b.b.c"},
	"*.*":       {"a.b", "a.bc", "a-b.c", "ab.c", "b.a", "A.b"},
	"*.*.>":     {"a.b.c", "a.b.cd", "a.bc.d", "b.b.c", "a.b.c.d"},
	"*.*.*.*":   {"a.b.c.d"},
	"c":         nil,
	"c.>":       nil,
	"a.b.c.d.>": nil,
}

func filterChecks() []check {
	return []check{
		{"list yields what matches and prefixes do not bleed", func(t *testing.T, s kvstore.Store) {
			for _, key := range family {
				mustCreate(t, s, key, key)
			}
			for filter, want := range filters {
				got := slices.Sorted(maps.Keys(list(t, s, filter)))
				want = slices.Sorted(slices.Values(want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("List(%q) (-want +got):\n%s", filter, diff)
				}
			}
		}},
		{"the loop over a list may stop and may call the store", func(t *testing.T, s kvstore.Store) {
			for i := range 10 {
				mustCreate(t, s, fmt.Sprintf("a.%d", i), "")
			}
			for range s.List(t.Context(), ">") {
				break
			}
			for e, err := range s.List(t.Context(), ">") {
				if err != nil {
					t.Fatal(err)
				}
				mustDelete(t, s, e.Key, e.Revision)
			}
			if got := list(t, s, ">"); len(got) != 0 {
				t.Errorf("after deleting what was listed: got %v, want nothing", got)
			}
		}},
		{"a long list is complete while other keys change", testLongList},
	}
}

// testLongList lists more keys than drivers read at once, while others move.
func testLongList(t *testing.T, s kvstore.Store) {
	const kept = 1500
	for i := range kept {
		mustCreate(t, s, fmt.Sprintf("kept.%d", i), "")
	}
	moving := mustCreate(t, s, "moving.1", "")
	seen := map[string]int{}
	var lastMoving uint64
	for e, err := range s.List(t.Context(), ">") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key == "moving.1" {
			if e.Revision <= lastMoving {
				t.Errorf("moving.1 came at revision %d after %d, want a newer one", e.Revision, lastMoving)
			}
			lastMoving = e.Revision
			continue
		}
		if seen[e.Key]++; len(seen)%100 == 0 {
			moving = mustUpdate(t, s, "moving.1", "", moving)
		}
	}
	if len(seen) != kept || lastMoving == 0 {
		t.Errorf("got %d keys and moving.1 at %d, want %d keys and a revision", len(seen), lastMoving, kept)
	}
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s came %d times though nobody touched it", key, times)
		}
	}
}

func countChecks() []check {
	count := func(t *testing.T, s kvstore.Store, filter string) int {
		t.Helper()
		n, err := s.(kvstore.Counter).Count(t.Context(), filter)
		if err != nil {
			t.Fatalf("Count(%q): %v", filter, err)
		}
		return n
	}
	return []check{
		{"count counts what matches", func(t *testing.T, s kvstore.Store) {
			for _, key := range family {
				mustCreate(t, s, key, key)
			}
			for filter, want := range filters {
				if got := count(t, s, filter); got != len(want) {
					t.Errorf("Count(%q): got %d, want %d", filter, got, len(want))
				}
			}
			_, err := s.(kvstore.Counter).Count(t.Context(), "a..b")
			wantErr(t, "Count of a bad filter", err, kvstore.ErrKey)
		}},
	}
}
