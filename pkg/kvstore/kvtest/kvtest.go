// Package kvtest is the conformance suite of [kvstore.Store]. A driver's whole
// test of the common rules is
//
//	func TestStore(t *testing.T) {
//		kvtest.Run(t, func(t *testing.T) kvstore.Store { return open(t) }, kvtest.Features{Count: true})
//	}
//
// It tests a store without stale replicas; what a driver promises for clusters
// it tests itself. It waits for events instead of sleeping, and takes as long
// as a key with a time to live of one second needs to expire.
package kvtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// testTimeout bounds how long the suite waits for an event.
const testTimeout = 30 * time.Second

// Features says what a driver offers beside [kvstore.Store]. The suite fails if
// the driver offers more or less.
type Features struct {
	Latest bool // it is a kvstore.LatestGetter
	Count  bool // it is a kvstore.Counter
	// MaxValueSize is the bound that open gives its stores, in bytes. 0 = none
	// that the suite should test.
	MaxValueSize int
}

// check is one sentence of the contract and what proves it.
type check struct {
	sentence string
	prove    func(t *testing.T, s kvstore.Store)
}

// Run tests the driver. open returns an empty store that nobody else uses, and
// registers its cleanup with t. It is called from parallel tests.
func Run(t *testing.T, open func(t *testing.T) kvstore.Store, f Features) {
	t.Helper()
	testFeatures(t, open(t), f)
	checks := [][]check{entryChecks(), keyChecks(), filterChecks(), raceChecks(), watchChecks(), modelChecks()}
	if f.Latest {
		checks = append(checks, latestChecks())
	} else {
		t.Log("not tested: GetLatest, which the driver does not offer")
	}
	if f.Count {
		checks = append(checks, countChecks())
	} else {
		t.Log("not tested: Count, which the driver does not offer")
	}
	if f.MaxValueSize > 0 {
		checks = append(checks, sizeChecks(f.MaxValueSize))
	}
	for _, group := range checks {
		for _, c := range group {
			t.Run(c.sentence, func(t *testing.T) {
				t.Parallel()
				c.prove(t, open(t))
			})
		}
	}
}

func testFeatures(t *testing.T, s kvstore.Store, f Features) {
	t.Helper()
	if _, ok := s.(kvstore.LatestGetter); ok != f.Latest {
		t.Errorf("Features.Latest is %t, but that the driver is a LatestGetter is %t", f.Latest, ok)
	}
	if _, ok := s.(kvstore.Counter); ok != f.Count {
		t.Errorf("Features.Count is %t, but that the driver is a Counter is %t", f.Count, ok)
	}
}

// mustCreate creates a key that never expires.
func mustCreate(t testing.TB, s kvstore.Store, key, value string) uint64 {
	t.Helper()
	revision, err := s.Create(t.Context(), key, []byte(value), 0)
	if err != nil {
		t.Fatalf("Create(%q): %v", key, err)
	}
	if revision == 0 {
		t.Fatalf("Create(%q): got revision 0", key)
	}
	return revision
}

func mustUpdate(t testing.TB, s kvstore.Store, key, value string, revision uint64) uint64 {
	t.Helper()
	next, err := s.Update(t.Context(), key, []byte(value), revision)
	if err != nil {
		t.Fatalf("Update(%q, revision %d): %v", key, revision, err)
	}
	return next
}

func mustDelete(t testing.TB, s kvstore.Store, key string, revision uint64) {
	t.Helper()
	if err := s.Delete(t.Context(), key, revision); err != nil {
		t.Fatalf("Delete(%q, revision %d): %v", key, revision, err)
	}
}

// wantEntry fails unless key has this value at this revision.
func wantEntry(t testing.TB, s kvstore.Store, key, value string, revision uint64) {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	got := kvstore.Entry{Key: e.Key, Value: e.Value, Revision: e.Revision}
	want := kvstore.Entry{Key: key, Value: []byte(value), Revision: revision}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Get(%q) (-want +got):\n%s", key, diff)
	}
}

// reporter is the part of testing.T that rapid.T has too.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// wantErr fails unless err is want and none of the other outcomes.
func wantErr(t reporter, call string, err, want error) {
	t.Helper()
	outcomes := []error{
		kvstore.ErrNotFound, kvstore.ErrExists, kvstore.ErrConflict,
		kvstore.ErrUnavailable, kvstore.ErrKey, kvstore.ErrTooLarge,
	}
	for _, outcome := range outcomes {
		if is := errors.Is(err, outcome); is != (outcome == want) {
			t.Errorf("%s: got error %v, want %v", call, err, want)
			return
		}
	}
}

// list returns what List yields, revisions by key. It fails if a key comes twice.
func list(t testing.TB, s kvstore.Store, filter string) map[string]uint64 {
	t.Helper()
	got := map[string]uint64{}
	for e, err := range s.List(t.Context(), filter) {
		if err != nil {
			t.Fatalf("List(%q): %v", filter, err)
		}
		if _, twice := got[e.Key]; twice {
			t.Errorf("List(%q): %q came twice though nobody touched it", filter, e.Key)
		}
		got[e.Key] = e.Revision
	}
	return got
}

// watch starts a watcher that ends with the test.
func watch(t testing.TB, s kvstore.Store, filter string) kvstore.Watcher {
	t.Helper()
	w, err := s.Watch(t.Context(), filter)
	if err != nil {
		t.Fatalf("Watch(%q): %v", filter, err)
	}
	t.Cleanup(w.Stop)
	return w
}

// next waits for the next event.
func next(t testing.TB, w kvstore.Watcher) kvstore.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	select {
	case e, ok := <-w.Events():
		if !ok {
			t.Fatal("the channel of events is closed")
		}
		return e
	case <-ctx.Done():
		t.Fatalf("no event within %v", testTimeout)
		return kvstore.Event{}
	}
}

// wantEvents fails unless these are the next events, in this order.
func wantEvents(t testing.TB, w kvstore.Watcher, want ...kvstore.Event) {
	t.Helper()
	for _, e := range want {
		if diff := cmp.Diff(e, next(t, w)); diff != "" {
			t.Fatalf("next event (-want +got):\n%s", diff)
		}
	}
}
