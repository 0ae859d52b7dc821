package connection_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

// shelf is a store of records over memory, without a service: another process
// writes to the bucket, and tests see what the cache makes of it.
type shelf struct {
	testing.TB
	bucket *wrapped
	store  *records.Connections
	reads  atomic.Int64 // of records, from the bucket
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{TB: t, bucket: &wrapped{Store: memkv.New(nil)}}
	s.bucket.latest = s.read
	buckets, err := records.BucketsFrom(func(name string) (kvstore.Store, error) {
		if name == "connections" {
			return s.bucket, nil
		}
		return memkv.New(nil), nil
	})
	must(t, err)
	s.store = records.NewConnections(buckets, records.NewSealer(newKeyring(t), prefix))
	return s
}

func (s *shelf) read(ctx context.Context, key string) (kvstore.Entry, error) {
	s.reads.Add(1)
	return s.bucket.Store.Get(ctx, key)
}

// put writes the n-th version of a record; its id says which.
func (s *shelf) put(r records.Ref, n int) {
	s.Helper()
	value := fmt.Sprintf(`{"id":"%d","scope":%q,"identity":%q,"connector":%q,"account":%q,"state":"active","config":{}}`,
		n, r.Scope, r.Identity, r.Connector, r.Account)
	_, err := kvstore.Modify(s.Context(), s.bucket, r.Key(), func([]byte) ([]byte, error) { return []byte(value), nil })
	must(s, err)
}

// want fails unless the store gives version n after having read the bucket so often.
func (s *shelf) want(r records.Ref, n int, reads int64) {
	s.Helper()
	before := s.reads.Load()
	c, err := s.store.Get(s.Context(), r)
	must(s, err)
	if c.ID != fmt.Sprint(n) || s.reads.Load()-before != reads {
		s.Errorf("got version %s with %d reads, want %d with %d", c.ID, s.reads.Load()-before, n, reads)
	}
}

// watch runs the store until stop is called.
func (s *shelf) watch() (stop func()) {
	s.Helper()
	stop = run(s, s.store.Run)
	synctest.Wait()
	return stop
}

func TestARecordIsReadOnceAndAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.watch()
		s.want(r, 1, 1)
		s.want(r, 1, 0)
		s.put(r, 2)
		synctest.Wait()
		s.want(r, 2, 1)
		s.want(r, 2, 0)
		s.put(shopOf(events.Tenant{Scope: "user", Identity: "x"}), 1)
		synctest.Wait()
		s.want(r, 2, 0)
	})
}

func TestNothingIsServedFromMemoryWhileNobodyWatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.want(r, 1, 1)
		s.want(r, 1, 1)
		stop := s.watch()
		s.want(r, 1, 1)
		s.want(r, 1, 0)
		stop()
		s.want(r, 1, 1)
		s.put(r, 2)
		s.want(r, 2, 1)
		s.watch()
		s.want(r, 2, 1)
		s.want(r, 2, 0)
	})
}

func TestAWatchThatCannotBeHadIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		tries := 0
		s.bucket.watch = func(ctx context.Context, filter string) (kvstore.Watcher, error) {
			if tries++; tries < 5 {
				return nil, kvstore.ErrUnavailable
			}
			return s.bucket.Store.Watch(ctx, filter)
		}
		s.watch()
		s.want(r, 1, 1)
		s.want(r, 1, 1)
		time.Sleep(10 * time.Second)
		s.want(r, 1, 1)
		s.want(r, 1, 0)
	})
}

// overtake lets the next read of the bucket take so long that meanwhile happens.
func (s *shelf) overtake(meanwhile func()) {
	var once sync.Once
	s.bucket.latest = func(ctx context.Context, key string) (kvstore.Entry, error) {
		entry, err := s.read(ctx, key)
		once.Do(func() {
			meanwhile()
			synctest.Wait() // the watch has reported it
		})
		return entry, err
	}
}

func TestAReadThatTheWatchHasOvertakenIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.watch()
		s.overtake(func() { s.put(r, 2) })
		s.want(r, 2, 2)
		s.want(r, 2, 0)
	})
}

func TestAReadOfNothingThatTheWatchHasOvertakenIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.watch()
		s.overtake(func() { s.put(r, 1) })
		s.want(r, 1, 2)
		s.want(r, 1, 0)
	})
}

func TestAStaleReplicaIsNotBelievedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		stale, err := s.bucket.Store.Get(t.Context(), r.Key())
		must(t, err)
		s.watch()
		s.put(r, 2)
		synctest.Wait()
		isStale := true
		s.bucket.latest = func(ctx context.Context, key string) (kvstore.Entry, error) {
			fresh, err := s.read(ctx, key)
			if isStale {
				return stale, nil
			}
			return fresh, err
		}
		s.want(r, 1, 4) // nothing better is to be had, and it is not kept
		s.want(r, 1, 4)
		isStale = false
		s.want(r, 2, 1)
		s.want(r, 2, 0)
	})
}

func TestAReadThatBeganBeforeAResetIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		watcher := newNews()
		s.bucket.watch = func(context.Context, string) (kvstore.Watcher, error) { return watcher, nil }
		s.watch()
		s.want(r, 1, 1)
		s.put(r, 2) // the watch misses it
		s.want(r, 1, 0)
		watcher.reset()
		synctest.Wait()
		s.want(r, 2, 1)
		s.want(r, 2, 0)
		watcher.reset()
		synctest.Wait()
		s.overtake(func() { s.put(r, 3); watcher.reset() })
		s.want(r, 2, 1)
		s.want(r, 3, 1)
		s.want(r, 3, 0)
	})
}

func TestAMissedNotificationMattersAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.bucket.watch = func(context.Context, string) (kvstore.Watcher, error) { return newNews(), nil }
		s.watch()
		s.want(r, 1, 1)
		s.put(r, 2)
		time.Sleep(records.CacheMaxAge - time.Nanosecond)
		s.want(r, 1, 0)
		time.Sleep(time.Nanosecond)
		s.want(r, 2, 1)
	})
}

// A bucket that was made anew counts its revisions anew: what the old one has reported
// must not make everything look old.
func TestABucketMadeAnewIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		watcher := newNews()
		s.bucket.watch = func(context.Context, string) (kvstore.Watcher, error) { return watcher, nil }
		s.put(r, 1)
		s.watch()
		watcher.Send(kvstore.Event{Kind: kvstore.Put, Key: r.Key(), Revision: 1000})
		synctest.Wait()
		s.bucket.Store = memkv.New(nil)
		s.put(r, 2)
		watcher.reset()
		synctest.Wait()
		s.want(r, 2, 1)
		s.want(r, 2, 0)
	})
}

func TestARecordThatIsGoneIsGoneAndAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.watch()
		s.want(r, 1, 1)
		must(t, s.bucket.Delete(t.Context(), r.Key(), 0))
		synctest.Wait()
		before := s.reads.Load()
		_, err := s.store.Get(t.Context(), r)
		if err == nil || s.reads.Load()-before != 1 {
			t.Errorf("got %v with %d reads, want an error with one", err, s.reads.Load()-before)
		}
		s.put(r, 2)
		synctest.Wait()
		s.want(r, 2, 1)
	})
}

func TestAFailedReadIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(t), shopOf(acme)
		s.put(r, 1)
		s.watch()
		s.bucket.latest = func(context.Context, string) (kvstore.Entry, error) { return kvstore.Entry{}, kvstore.ErrUnavailable }
		if _, err := s.store.Get(t.Context(), r); !errors.Is(err, kvstore.ErrUnavailable) {
			t.Errorf("got %v, want it unavailable", err)
		}
		s.bucket.latest = s.read
		s.want(r, 1, 1)
	})
}

func TestTheCacheIsBoundedByRecordsAndByBytes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.bucket.watch = func(context.Context, string) (kvstore.Watcher, error) { return newNews(), nil }
	run(t, s.store.Run)
	filler := "" // makes records large
	s.bucket.latest = func(_ context.Context, key string) (kvstore.Entry, error) {
		tokens := strings.Split(key, ".")
		value := `{"scope":"user","identity":"` + tokens[1] + `","connector":"shop","account":"default","config":"` + filler + `"}`
		return kvstore.Entry{Key: key, Value: []byte(value), Revision: 1}, nil
	}
	get := func(i int) {
		must(t, ignored(s.store.Get(t.Context(), shopOf(events.Tenant{Scope: "user", Identity: fmt.Sprint(i)}))))
	}
	testenv.Eventually(t, "the record to be cached", func() bool {
		get(0)
		n, _ := s.store.CacheUse()
		return n == 1
	})
	for i := range records.CacheSize + 100 {
		get(i)
	}
	if n, bytes := s.store.CacheUse(); n > records.CacheSize || n < records.CacheSize*9/10 || bytes > records.CacheBytes {
		t.Errorf("the cache has %d records of %d bytes, want at most %d, and not much less, of at most %d", n, bytes, records.CacheSize, records.CacheBytes)
	}
	filler = strings.Repeat("x", 400_000)
	for i := range records.CacheBytes/len(filler) + 10 {
		get(1_000_000 + i)
	}
	if _, bytes := s.store.CacheUse(); bytes > records.CacheBytes || bytes < records.CacheBytes/2 {
		t.Errorf("the cache has %d bytes, want at most %d, and not much less", bytes, records.CacheBytes)
	}
}

// Whoever reads a record after the watch has reported a version gets that one or a
// newer, however long answers are on their way.
func TestReadersNeverGoBehindWhatTheWatchHasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t)
		refs := make([]records.Ref, 3)
		for i := range refs {
			refs[i] = shopOf(events.Tenant{Scope: "user", Identity: fmt.Sprint(i)})
			s.put(refs[i], 0)
		}
		s.watch()
		s.bucket.latest = func(ctx context.Context, key string) (kvstore.Entry, error) {
			entry, err := s.read(ctx, key)
			time.Sleep(time.Duration(s.reads.Load()*7%13) * time.Millisecond)
			return entry, err
		}
		var reported atomic.Int64
		var wg sync.WaitGroup
		const versions = 200
		for reader := range 8 {
			wg.Go(func() {
				for reported.Load() < versions {
					floor := reported.Load()
					c, err := s.store.Get(t.Context(), refs[reader%len(refs)])
					if err != nil {
						t.Error(err)
						return
					}
					if version, err := strconv.ParseInt(c.ID, 10, 64); err != nil || version < floor {
						t.Errorf("read version %s, want %d or newer", c.ID, floor)
						return
					}
					time.Sleep(time.Duration(reader+1) * time.Millisecond)
				}
			})
		}
		for n := range versions {
			for _, r := range refs {
				s.put(r, n+1)
			}
			time.Sleep(time.Duration(n%5) * time.Millisecond)
			synctest.Wait()
			reported.Store(int64(n + 1))
		}
		wg.Wait()
		for _, r := range refs {
			must(t, ignored(s.store.Get(t.Context(), r)))
			s.want(r, versions, 0)
		}
	})
}
