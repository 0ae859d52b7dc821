package memkv_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/kvtest"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	open := func(*testing.T) kvstore.Store { return memkv.New(&memkv.Options{MaxValueSize: 64 << 10}) }
	kvtest.Run(t, open, kvtest.Features{Latest: true, Count: true, MaxValueSize: 64 << 10})
}

func TestKeyExpiresToTheSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memkv.New(nil)
		w, err := s.Watch(t.Context(), ">")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if _, err := s.Create(t.Context(), "a", nil, time.Hour); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		want := []kvstore.Event{{Kind: kvstore.Put, Key: "a", Revision: 1}, {Kind: kvstore.Deleted, Key: "a", Revision: 2}}
		if diff := cmp.Diff(want, []kvstore.Event{<-w.Events(), <-w.Events()}); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("expired after %v, want 1h", took)
		}
	})
}

func TestStoreTTLCountsFromTheLastWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memkv.New(&memkv.Options{TTL: 10 * time.Minute})
		revision, err := s.Create(t.Context(), "updated", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		// The key's own ttl holds if it is the shorter one.
		for key, ttl := range map[string]time.Duration{"shorter": time.Minute, "longer": time.Hour} {
			if _, err := s.Create(t.Context(), key, nil, ttl); err != nil {
				t.Fatal(err)
			}
		}
		there := func(want ...string) {
			t.Helper()
			var got []string
			for e := range s.List(t.Context(), ">") {
				got = append(got, e.Key)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %v (-want +got):\n%s", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), diff)
			}
		}
		there("longer", "shorter", "updated")
		time.Sleep(9 * time.Minute)
		there("longer", "updated")
		if _, err := s.Update(t.Context(), "updated", nil, revision); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		there("updated")
		time.Sleep(2 * time.Minute)
		there()
	})
}

func TestExpiryOfARecreatedKeyIsItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memkv.New(nil)
		first, err := s.Create(t.Context(), "a", nil, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "a", first); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), "a", nil, time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Errorf("after the first key's time: %v", err)
		}
		time.Sleep(time.Hour)
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, kvstore.ErrNotFound) {
			t.Errorf("after its own time: got %v, want not found", err)
		}
	})
}
