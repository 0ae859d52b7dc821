package records

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	// A cache has at most so many records, and so many bytes of them as they are stored, whichever is less.
	// Parsed they use about twice as much.
	cacheSize  = 10_000
	cacheBytes = 32 << 20
	// cacheMaxAge bounds how long a change that the watch has missed can have an effect.
	cacheMaxAge = time.Minute
	// readTimeout bounds a read: callers wait for an answer, even if the answer is an error.
	readTimeout = 1500 * time.Millisecond
	// maxReads bounds how often a key is read to get a revision that is not older than a reported one.
	maxReads = 4
)

// cache holds parsed records by key, in bounded memory. A watch of the bucket invalidates what changed. A record is
// served from the cache only if it was read while the present watch was on, and the watch has reported nothing newer:
//
//   - Without a watch every read goes to the bucket.
//   - A read during which the watch reports a change of the key is discarded and repeated by the library.
//   - A read that is older than what the watch reported before is repeated here. Records are read from the leader;
//     but a leader that has lost contact with its cluster may answer for some seconds with what it knows.
//   - A watch that may have missed events (it was set up anew, or says Reset) invalidates everything before it.
//
// Safe for concurrent use.
type cache[T any] struct {
	store kvstore.Store
	parse func(kvstore.Entry) (T, error)
	// cacheAbsence caches also that there is no record, where only few keys are asked for.
	cacheAbsence bool

	items    *otter.Cache[string, item[T]]
	reported *lru.Cache[string, notice] // key → last event of the watch
	watch    atomic.Pointer[watchID]    // nil without a watch
}

// watchID is the identity of one watch between two losses of events.
type watchID struct{ _ byte }

// item is a record in the cache.
type item[T any] struct {
	value    T
	absent   bool // there is no record; the revision is 0
	revision uint64
	size     int
	readAt   time.Time
	watch    *watchID // nil: the item must not be served again
}

// notice is what the watch has reported of a key.
type notice struct {
	revision uint64
	deleted  bool
}

// newerThan reports whether a read with this revision is older than the notice. Revision 0 is a key that was not found.
func (n notice) newerThan(revision uint64) bool {
	if revision == 0 {
		return n.revision > 0 && !n.deleted
	}
	return n.revision > revision
}

func newCache[T any](store kvstore.Store, parse func(kvstore.Entry) (T, error)) *cache[T] {
	reported, err := lru.New[string, notice](cacheSize)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &cache[T]{
		store: store, parse: parse, reported: reported,
		items: otter.Must(&otter.Options[string, item[T]]{
			MaximumWeight: cacheBytes,
			// The least weight bounds the number of items, too.
			Weigher: func(key string, it item[T]) uint32 { return uint32(max(it.size, cacheBytes/cacheSize+1)) },
		}),
	}
}

// get returns the record of key, from the cache if it is known to be current. [ErrNotFound] if there is none.
func (c *cache[T]) get(ctx context.Context, key string) (T, error) {
	if it, ok := c.items.GetIfPresent(key); ok && c.isCurrent(it) {
		return it.result()
	}
	return c.read(ctx, key)
}

func (it item[T]) result() (T, error) {
	if it.absent {
		return it.value, kvstore.ErrNotFound
	}
	return it.value, nil
}

func (c *cache[T]) isCurrent(it item[T]) bool {
	return it.watch != nil && it.watch == c.watch.Load() && time.Since(it.readAt) < cacheMaxAge
}

// has reports whether get would answer from the cache.
func (c *cache[T]) has(key string) bool {
	e, ok := c.items.GetEntryQuietly(key)
	return ok && c.isCurrent(e.Value)
}

// read reads the record of key from the store, and caches it if there is a watch. Concurrent reads of one key share one.
func (c *cache[T]) read(ctx context.Context, key string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if c.watch.Load() == nil {
		it, err := c.load(ctx, key)
		if err != nil {
			return it.value, err
		}
		return it.result()
	}
	for n := 1; ; n++ {
		it, err := c.loadShared(ctx, key)
		last, _ := c.reported.Get(key)
		stale := err == nil && it.watch == nil || errors.Is(err, kvstore.ErrNotFound) && last.newerThan(0)
		if stale && c.watch.Load() != nil && n < maxReads && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return it.value, err
		}
		return it.result()
	}
}

// loadShared calls load once for all that read the key now. A load during which the key is invalidated is repeated.
func (c *cache[T]) loadShared(ctx context.Context, key string) (item[T], error) {
	c.items.ComputeIfPresent(key, func(it item[T]) (item[T], otter.ComputeOp) {
		if c.isCurrent(it) {
			return it, otter.CancelOp
		}
		return it, otter.InvalidateOp
	})
	return c.items.Get(ctx, key, otter.LoaderFunc[string, item[T]](c.load))
}

// load reads a record from the store.
func (c *cache[T]) load(ctx context.Context, key string) (item[T], error) {
	watch := c.watch.Load()
	last, _ := c.reported.Get(key) // a later event invalidates this load
	entry, err := latest(ctx, c.store, key)
	if last.newerThan(entry.Revision) {
		watch = nil
	}
	it := item[T]{revision: entry.Revision, size: len(key) + len(entry.Value), readAt: time.Now(), watch: watch}
	if err == nil {
		it.value, err = c.parse(entry)
	}
	if c.cacheAbsence && errors.Is(err, kvstore.ErrNotFound) {
		it.absent, err = true, nil
	}
	return it, err
}

// reread reads the record past the cache.
func (c *cache[T]) reread(ctx context.Context, key string) (T, error) {
	c.forget(key)
	return c.read(ctx, key)
}

// forget drops a key that this process has written, so that the writer reads it before the watch reports it.
func (c *cache[T]) forget(key string) { c.items.Invalidate(key) }

// changed handles an event of the watch.
func (c *cache[T]) changed(e kvstore.Event) {
	c.reported.Add(e.Key, notice{e.Revision, e.Kind == kvstore.Deleted})
	if known, ok := c.items.GetEntryQuietly(e.Key); ok && known.Value.revision >= e.Revision {
		return
	}
	c.items.Invalidate(e.Key) // and a read of it that is under way
}

// restart invalidates everything: events may have been missed until now. Revisions that were reported are
// void, too, since the bucket may be a new one.
func (c *cache[T]) restart(watch *watchID) {
	c.watch.Store(watch)
	c.items.InvalidateAll()
	c.reported.Purge()
}

// run watches the bucket until ctx ends.
func (c *cache[T]) run(ctx context.Context) error {
	for ctx.Err() == nil {
		watcher, err := c.store.Watch(ctx, ">")
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		c.restart(&watchID{})
		follow(ctx, watcher, func(event kvstore.Event) {
			if event.Kind == kvstore.Reset {
				c.restart(&watchID{})
				return
			}
			c.changed(event)
		})
		c.restart(nil)
	}
	return nil
}

// follow calls handle with the watcher's events until ctx ends or the store closes the watch, and stops the watcher.
func follow(ctx context.Context, w kvstore.Watcher, handle func(kvstore.Event)) {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-w.Events():
			if !open {
				return
			}
			handle(event)
		}
	}
}

// latest reads from the leader where the store can.
func latest(ctx context.Context, s kvstore.Store, key string) (kvstore.Entry, error) {
	if l, ok := s.(kvstore.LatestGetter); ok {
		return l.GetLatest(ctx, key)
	}
	return s.Get(ctx, key)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
