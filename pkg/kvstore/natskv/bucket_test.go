package natskv_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

func config(t *testing.T, js jetstream.JetStream, bucket string) jetstream.StreamConfig {
	t.Helper()
	stream, err := js.Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

func TestOpenKeepsTheKeysOfAnExistingBucket(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	b := natskv.Bucket{Name: "test", Description: "first"}
	revision := mustCreate(t, mustOpen(t, js, b, nil), "a", "one")
	before := config(t, js, "test")
	again := mustOpen(t, js, b, nil)
	wantValue(t, again, "a", "one", revision)
	if diff := cmp.Diff(before, config(t, js, "test")); diff != "" {
		t.Errorf("opened again without a change (-before +after):\n%s", diff)
	}
}

func TestOpenChangesWhatIsAskedForAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	revision := mustCreate(t, mustOpen(t, js, natskv.Bucket{Name: "test"}, nil), "a", "one")

	operators := config(t, js, "test")
	operators.Compression = jetstream.S2Compression
	operators.MaxBytes = 1 << 20
	if _, err := js.UpdateStream(t.Context(), operators); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, js, natskv.Bucket{
		Name: "test", Description: "second", TTL: time.Hour, MaxValueSize: 10, MarkerTTL: 2 * time.Minute,
	}, nil)
	got := config(t, js, "test")
	want := operators
	want.Description, want.MaxAge, want.SubjectDeleteMarkerTTL = "second", time.Hour, 2*time.Minute
	want.MaxMsgSize = got.MaxMsgSize // above 10 for the headers
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantValue(t, s, "a", "one", revision)
	if _, err := s.Create(t.Context(), "b", []byte("eleven bytes"), 0); !errors.Is(err, kvstore.ErrTooLarge) {
		t.Errorf("got %v, want too large", err)
	}
}

// A command that opens a bucket without its settings must not take them away.
func TestOpenLowersNothingThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	mustOpen(t, js, natskv.Bucket{Name: "test", Description: "first", TTL: time.Hour, MaxValueSize: 10}, nil)
	before := config(t, js, "test")
	mustOpen(t, js, natskv.Bucket{Name: "test"}, nil)
	if diff := cmp.Diff(before, config(t, js, "test")); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestAChangeOfABucketIsReportedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	mustOpen(t, js, natskv.Bucket{Name: "test"}, nil)
	var reported []string
	mustOpen(t, js, natskv.Bucket{Name: "test", TTL: time.Hour}, &natskv.Options{OnChange: func(change string) {
		if got := config(t, js, "test").MaxAge; got != 0 {
			t.Errorf("changed before it was reported: age %v", got)
		}
		reported = append(reported, change)
	}})
	if len(reported) != 1 || reported[0] != "bucket test: max_age was 0s, is 1h0m0s" {
		t.Errorf("reported %q", reported)
	}
}

func TestOpenBringsABucketOfAnotherToolIntoShape(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "test", History: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"one", "two", "three"} {
		if _, err := kv.PutString(t.Context(), "a", value); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, js, natskv.Bucket{Name: "test"}, nil)
	wantValue(t, s, "a", "three", 3)
	if n, err := s.Count(t.Context(), ">"); n != 1 || err != nil {
		t.Errorf("Count: got %d, %v, want 1: the history is gone", n, err)
	}
}

func TestOpenRefusesAnotherStorage(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	mustOpen(t, js, natskv.Bucket{Name: "test", Storage: jetstream.MemoryStorage}, nil)
	_, err := natskv.Open(t.Context(), js, natskv.Bucket{Name: "test"}, nil)
	if err == nil || !strings.Contains(err.Error(), "cannot be changed") {
		t.Errorf("got %v, want an error that says that storage cannot be changed", err)
	}
}

func TestOpenRefusesBadBuckets(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	for _, b := range []natskv.Bucket{
		{}, {Name: "a.b"}, {Name: "a b"}, {Name: ">"}, {Name: strings.Repeat("a", 129)},
		{Name: "a", MaxValueSize: -1}, {Name: "a", MaxValueSize: 1 << 31},
		{Name: "a", TTL: -1}, {Name: "a", TTL: time.Millisecond},
		{Name: "a", MarkerTTL: time.Millisecond}, {Name: "a", MarkerTTL: 1500 * time.Millisecond},
	} {
		if _, err := natskv.Open(t.Context(), js, b, nil); err == nil || errors.Is(err, kvstore.ErrUnavailable) {
			t.Errorf("Open(%+v): got error %v, want one about the bucket", b, err)
		}
	}
}

func TestOpenMayRunInManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	var wg sync.WaitGroup
	for i := range 8 {
		js := n.connect()
		wg.Go(func() {
			b := natskv.Bucket{Name: "test", Description: strings.Repeat("x", i%3)}
			if _, err := natskv.Open(t.Context(), js, b, nil); err != nil {
				t.Errorf("Open: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestBucketTTLRemovesWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, startNode(t).connect(), natskv.Bucket{Name: "test", TTL: time.Second}, nil)
	w := watch(t, s, ">")
	revision := mustCreate(t, s, "a", "one")
	wantEvent(t, w, kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision})
	if e := next(t, w); e.Kind != kvstore.Deleted || e.Key != "a" {
		t.Errorf("got %+v, want a deleted", e)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, kvstore.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

// Other tools read and write the same buckets: `nats kv`, our own clients in
// other languages.
func TestClientsOfNATSSeeTheSameKeys(t *testing.T) {
	t.Parallel()
	s, js := open(t)
	kv, err := js.KeyValue(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	revision := mustCreate(t, s, "ours", "one")
	e, err := kv.Get(t.Context(), "ours")
	if err != nil || string(e.Value()) != "one" || e.Revision() != revision {
		t.Errorf("their Get of our key: got %v, %v", e, err)
	}
	theirs, err := kv.PutString(t.Context(), "theirs", "two")
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "theirs", "two", theirs)
	if _, err := s.Update(t.Context(), "theirs", []byte("three"), theirs); err != nil {
		t.Errorf("our Update of their key: %v", err)
	}

	if err := s.Delete(t.Context(), "ours", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "ours"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("their Get of a key that we deleted: got %v", err)
	}
	w := watch(t, s, ">")
	if err := kv.Delete(t.Context(), "theirs"); err != nil {
		t.Fatal(err)
	}
	if e := next(t, w); e.Kind != kvstore.Deleted || e.Key != "theirs" {
		t.Errorf("our event of their deletion: got %+v", e)
	}
	for name, get := range map[string]func() error{
		"Get":       func() error { _, err := s.Get(t.Context(), "theirs"); return err },
		"GetLatest": func() error { _, err := s.GetLatest(t.Context(), "theirs"); return err },
		"Delete":    func() error { return s.Delete(t.Context(), "theirs", 0) },
	} {
		if err := get(); !errors.Is(err, kvstore.ErrNotFound) {
			t.Errorf("our %s of a key that they deleted: got %v, want not found", name, err)
		}
	}
	mustCreate(t, s, "theirs", "four")
}
