package kvtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

func watchChecks() []check {
	return []check{
		{"a watcher sees creates, updates and deletions, in order", testWatchOrder},
		{"a watcher sees nothing from before and nothing else", testWatchFilter},
		{"watchers are independent", func(t *testing.T, s kvstore.Store) {
			stopped, other := watch(t, s, ">"), watch(t, s, ">")
			stopped.Stop()
			revision := mustCreate(t, s, "a", "")
			wantEvents(t, other, kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision})
		}},
		{"stop closes the channel and may be called twice", func(t *testing.T, s kvstore.Store) {
			w := watch(t, s, ">")
			events := w.Events()
			mustCreate(t, s, "a", "")
			w.Stop()
			w.Stop()
			for range events { // what was queued may still come
			}
		}},
		{"a watcher outlives the context of its call", func(t *testing.T, s kvstore.Store) {
			ctx, cancel := context.WithCancel(t.Context())
			w, err := s.Watch(ctx, ">")
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			cancel()
			revision := mustCreate(t, s, "a", "")
			wantEvents(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision})
		}},
		{"a slow reader gets a reset for what it missed", testSlowReader},
		{"a key with a ttl expires and the watcher sees it", testExpiry},
		{"an update drops the ttl", testUpdateDropsTTL},
	}
}

// testWatchOrder allows a watcher to leave out what was changed again at once.
func testWatchOrder(t *testing.T, s kvstore.Store) {
	w := watch(t, s, "a.>")
	first := mustCreate(t, s, "a.b", "one")
	wantEvents(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a.b", Revision: first})
	second := mustUpdate(t, s, "a.b", "two", first)
	wantEvents(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a.b", Revision: second})
	mustDelete(t, s, "a.b", second)
	removal := next(t, w)
	if removal.Kind != kvstore.Deleted || removal.Key != "a.b" || removal.Revision <= second {
		t.Fatalf("got %+v, want a.b deleted after revision %d", removal, second)
	}
	revision := mustCreate(t, s, "a.b", "three")
	if revision <= removal.Revision {
		t.Errorf("created at revision %d, want one above the removal's %d", revision, removal.Revision)
	}
	last := removal.Revision
	for range 50 {
		revision = mustUpdate(t, s, "a.b", "four", revision)
	}
	for last < revision {
		e := next(t, w)
		if e.Kind != kvstore.Put || e.Key != "a.b" || e.Revision <= last || e.Revision > revision {
			t.Fatalf("got %+v, want puts of a.b after revision %d up to %d", e, last, revision)
		}
		last = e.Revision
	}
}

func testWatchFilter(t *testing.T, s kvstore.Store) {
	mustCreate(t, s, "a.b.0", "")
	watchers := map[string]kvstore.Watcher{}
	for _, filter := range []string{"a.b.>", "a.*.1", "a.bc.1", ">"} {
		watchers[filter] = watch(t, s, filter)
	}
	keys := []string{"a.b", "a.bc.1", "a.b.1", "b.b.1", "a.b.c.d"}
	revisions := map[string]uint64{}
	for _, key := range keys {
		revisions[key] = mustCreate(t, s, key, "")
	}
	// Each watcher sees its matches of keys in this order, and nothing between.
	for filter, w := range watchers {
		for _, key := range keys {
			if kvstore.Match(filter, key) {
				wantEvents(t, w, kvstore.Event{Kind: kvstore.Put, Key: key, Revision: revisions[key]})
			}
		}
	}
}

// testSlowReader writes more than any sane buffer holds while nobody reads. The
// reader may get everything, or a reset in place of what is missing.
func testSlowReader(t *testing.T, s kvstore.Store) {
	const writes = 3000
	w := watch(t, s, ">")
	for i := range writes {
		mustCreate(t, s, fmt.Sprintf("a.%d", i), "")
	}
	seen, reset := 0, false
	for seen < writes && !reset {
		switch e := next(t, w); e.Kind {
		case kvstore.Reset:
			reset = true
			if e.Key != "" || e.Revision != 0 {
				t.Errorf("got %+v, want a reset without key and revision", e)
			}
		case kvstore.Put:
			if want := fmt.Sprintf("a.%d", seen); e.Key != want {
				t.Fatalf("got %s after %d events and no reset, want %s", e.Key, seen, want)
			}
			seen++
		default:
			t.Fatalf("got %+v, want puts and resets", e)
		}
	}
	// After a reset the watch goes on, though a late reset may hide a write.
	for try := 0; ; try++ {
		key := fmt.Sprintf("b.%d", try)
		mustCreate(t, s, key, "")
		e := next(t, w)
		for e.Kind == kvstore.Put && e.Key != key {
			e = next(t, w)
		}
		if e.Kind == kvstore.Put {
			return
		}
		if try == writes {
			t.Fatal("resets without end")
		}
	}
}

func testExpiry(t *testing.T, s kvstore.Store) {
	w := watch(t, s, ">")
	revision, err := s.Create(t.Context(), "a", []byte("one"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, s, "a", "one", revision)
	_, err = s.Create(t.Context(), "a", []byte("two"), 0)
	wantErr(t, "Create of a key that has not expired", err, kvstore.ErrExists)

	wantEvents(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision})
	expiry := next(t, w)
	if expiry.Kind != kvstore.Deleted || expiry.Key != "a" || expiry.Revision <= revision {
		t.Fatalf("got %+v, want a deleted after revision %d", expiry, revision)
	}
	_, err = s.Get(t.Context(), "a")
	wantErr(t, "Get of an expired key", err, kvstore.ErrNotFound)
	if got := list(t, s, ">"); len(got) != 0 {
		t.Errorf("List: got %v, want nothing", got)
	}
	_, err = s.Update(t.Context(), "a", nil, revision)
	wantErr(t, "Update of an expired key", err, kvstore.ErrConflict)
	wantErr(t, "Delete of an expired key", s.Delete(t.Context(), "a", revision), kvstore.ErrNotFound)
	if again := mustCreate(t, s, "a", "three"); again <= expiry.Revision {
		t.Errorf("created again at revision %d, want one above %d", again, expiry.Revision)
	}
}

// testUpdateDropsTTL lets a second key expire, which is created after the first
// was updated: when that is gone and the first is not, its ttl was dropped.
func testUpdateDropsTTL(t *testing.T, s kvstore.Store) {
	w := watch(t, s, "later")
	first, err := s.Create(t.Context(), "kept", []byte("one"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	second := mustUpdate(t, s, "kept", "two", first)
	if _, err := s.Create(t.Context(), "later", nil, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	for next(t, w).Kind != kvstore.Deleted {
	}
	wantEntry(t, s, "kept", "two", second)
}
