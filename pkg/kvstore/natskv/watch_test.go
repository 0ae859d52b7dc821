package natskv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

const testTimeout = 30 * time.Second

func watch(t *testing.T, s *natskv.Store, filter string) kvstore.Watcher {
	t.Helper()
	w, err := s.Watch(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

func next(t *testing.T, w kvstore.Watcher) kvstore.Event {
	t.Helper()
	select {
	case e, ok := <-w.Events():
		if !ok {
			t.Fatal("the channel of events is closed")
		}
		return e
	case <-time.After(testTimeout):
		t.Fatalf("no event within %v", testTimeout)
		return kvstore.Event{}
	}
}

func wantEvent(t *testing.T, w kvstore.Watcher, want kvstore.Event) {
	t.Helper()
	if diff := cmp.Diff(want, next(t, w)); diff != "" {
		t.Fatalf("next event (-want +got):\n%s", diff)
	}
}

// wantResetThenAll waits for a reset, and then proves that the watch is whole
// again: what is written after the last reset comes.
func wantResetThenAll(t *testing.T, s *natskv.Store, w kvstore.Watcher) {
	t.Helper()
	for next(t, w).Kind != kvstore.Reset {
	}
	for try := 0; ; try++ {
		key := fmt.Sprintf("after.%d", try)
		want := kvstore.Event{Kind: kvstore.Put, Key: key, Revision: mustCreate(t, s, key, "")}
		e := next(t, w)
		for e != want && e.Kind != kvstore.Reset {
			e = next(t, w)
		}
		if e == want {
			return
		}
		// One more reset, which may hide the key.
	}
}

func TestWatcherGetsAResetAfterAReconnect(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, nil)
	w := watch(t, s, ">")
	revision := mustCreate(t, s, "a", "")
	wantEvent(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision})
	n.stop()
	n.start()
	wantResetThenAll(t, s, w)
}

func TestWatcherGetsAResetWhenTheStoreWasWiped(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, nil)
	w := watch(t, s, ">")
	for i := range 10 {
		mustCreate(t, s, fmt.Sprintf("a.%d", i), "")
	}
	n.stop()
	n.dir = t.TempDir()
	n.start()
	// The watch cannot be set up before the bucket is there again, and revisions
	// begin anew.
	s = mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, nil)
	wantResetThenAll(t, s, w)
}

func TestWatcherGetsAResetWhenTheServerForgetsIt(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	s := mustOpen(t, js, natskv.Bucket{Name: "test"}, &natskv.Options{Timeout: testTimeout, Heartbeat: 100 * time.Millisecond})
	w := watch(t, s, ">")
	stream, err := js.Stream(t.Context(), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	names := stream.ConsumerNames(t.Context())
	for name := range names.Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	wantResetThenAll(t, s, w)
}

func TestWatcherOfASlowReaderGetsAReset(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	s := mustOpen(t, js, natskv.Bucket{Name: "test"}, &natskv.Options{Timeout: testTimeout, WatchBuffer: 4})
	w := watch(t, s, ">")
	for i := range 500 {
		mustCreate(t, s, fmt.Sprintf("a.%d", i), "")
	}
	wantResetThenAll(t, s, w)
}

func TestWatcherStopsDuringAnOutage(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, &natskv.Options{Heartbeat: 100 * time.Millisecond})
	quiet, busy := watch(t, s, ">"), watch(t, s, "a.>")
	n.stop()
	start := time.Now()
	quiet.Stop()
	select { // until the other one has noticed the silence and is trying again
	case e, ok := <-busy.Events():
		t.Fatalf("got event %+v, %t during the outage", e, ok)
	case <-time.After(500 * time.Millisecond):
	}
	busy.Stop()
	if took := time.Since(start); took > testTimeout {
		t.Errorf("stopping took %v", took)
	}
	for range busy.Events() {
	}
}

func TestWatcherEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	w := watch(t, mustOpen(t, js, natskv.Bucket{Name: "test"}, nil), ">")
	js.Conn().Close()
	for range w.Events() {
	}
	w.Stop()
}
