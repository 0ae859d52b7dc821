package records

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	// A cache holds at most so many records, and so many bytes of them as they
	// are stored, whichever is less. Parsed they take about twice as much.
	cacheSize  = 10_000
	cacheBytes = 32 << 20
	// cacheMaxAge bounds how long a missed notification can matter.
	cacheMaxAge = time.Minute
	// readPatience bounds a read: callers wait for an answer, be it that there is none.
	readPatience = 1500 * time.Millisecond
	// rereads bounds how often a read that the watch has overtaken is repeated.
	rereads = 3
)

// cache holds parsed records by key: a bounded number, however many exist. A watch
// of the bucket (names and revisions only) drops what changed. What it serves was
// read while the watch was on, and the watch has reported nothing newer since:
//
//   - While nobody watches, nothing is served from it.
//   - A read that is older than what the watch has reported meanwhile is repeated,
//     and not kept. Records are read from the leader, because a lagging replica
//     can be older than a change that was reported already.
//   - A read that began before the watch may have missed something (it was set up
//     anew, or says Reset) is not kept.
//
// Safe for concurrent use.
type cache[T any] struct {
	store kvstore.Store
	parse func(kvstore.Entry) (T, error)
	now   func() time.Time
	// absences are held too, where keys are few and none of a stranger's making.
	absences bool

	mu       sync.Mutex // guards everything below
	watching bool
	epoch    uint64                          // grows whenever events may have been missed
	items    *simplelru.LRU[string, item[T]] // none while nobody watches
	bytes    int                             // of the items
	reported *simplelru.LRU[string, notice]  // key → what the watch has told last
	readings map[string]*reading             // key → the reads under way
}

// item is a record that is held.
type item[T any] struct {
	value    T
	absent   bool // there is no record, and the revision is 0
	revision uint64
	at       time.Time
	size     int
}

// notice is what the watch has told of a key.
type notice struct {
	revision uint64
	deleted  bool
}

// overtakes reports whether what was read is older. Of a key that is not there
// no revision is known.
func (n notice) overtakes(revision uint64) bool {
	if revision == 0 {
		return n.revision > 0 && !n.deleted
	}
	return n.revision > revision
}

// reading is one or more reads of a key that are under way.
type reading struct {
	readers  int
	reported notice // the newest, from before they began or since
}

func newCache[T any](store kvstore.Store, parse func(kvstore.Entry) (T, error)) *cache[T] {
	c := &cache[T]{store: store, parse: parse, now: time.Now, readings: map[string]*reading{}}
	var err error
	c.items, err = simplelru.NewLRU(cacheSize, func(_ string, gone item[T]) { c.bytes -= gone.size })
	if err == nil {
		c.reported, err = simplelru.NewLRU[string, notice](cacheSize, nil)
	}
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return c
}

// get returns the record of key, from memory if it is known to be current.
func (c *cache[T]) get(ctx context.Context, key string) (T, error) {
	c.mu.Lock()
	known, ok := c.items.Get(key)
	ok = ok && c.now().Sub(known.at) < cacheMaxAge
	c.mu.Unlock()
	if ok && known.absent {
		return known.value, kvstore.ErrNotFound
	}
	if ok {
		return known.value, nil
	}
	return c.read(ctx, key)
}

// holds reports whether get would answer from memory.
func (c *cache[T]) holds(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.items.Peek(key)
	return ok && c.now().Sub(known.at) < cacheMaxAge
}

// read reads the record of key from the store, and holds it.
func (c *cache[T]) read(ctx context.Context, key string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for try := 0; ; try++ {
		c.mu.Lock()
		r, epoch := c.beginLocked(key), c.epoch
		c.mu.Unlock()

		entry, err := latest(ctx, c.store, key)
		var value T
		if err == nil {
			value, err = c.parse(entry)
		}

		c.mu.Lock()
		overtaken := r.reported.overtakes(entry.Revision)
		c.endLocked(key, r)
		absent := c.absences && errors.Is(err, kvstore.ErrNotFound)
		if (err == nil || absent) && !overtaken && c.watching && epoch == c.epoch {
			c.holdLocked(key, item[T]{value, absent, entry.Revision, c.now(), len(key) + len(entry.Value)})
		}
		c.mu.Unlock()
		if !overtaken || try == rereads || ctx.Err() != nil {
			return value, err
		}
	}
}

func (c *cache[T]) beginLocked(key string) *reading {
	r := c.readings[key]
	if r == nil {
		r = &reading{}
		r.reported, _ = c.reported.Peek(key)
		c.readings[key] = r
	}
	r.readers++
	return r
}

func (c *cache[T]) endLocked(key string, r *reading) {
	if r.readers--; r.readers == 0 {
		delete(c.readings, key)
	}
}

func (c *cache[T]) holdLocked(key string, it item[T]) {
	if known, ok := c.items.Peek(key); ok && known.revision > it.revision {
		return // another reader was slower to begin and faster to end
	}
	c.items.Remove(key)
	c.items.Add(key, it)
	c.bytes += it.size
	for c.bytes > cacheBytes {
		c.items.RemoveOldest()
	}
}

// forget drops what is held of a key that this process has written: whoever wrote
// reads it next, before the watch has told.
func (c *cache[T]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items.Remove(key)
}

// changed notes what the watch has told.
func (c *cache[T]) changed(e kvstore.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := notice{e.Revision, e.Kind == kvstore.Deleted}
	c.reported.Add(e.Key, told)
	if r := c.readings[e.Key]; r != nil {
		r.reported = told
	}
	if known, ok := c.items.Peek(e.Key); ok && known.revision < e.Revision {
		c.items.Remove(e.Key)
	}
}

// restart drops everything: events may have been missed until now. Revisions that
// were reported mean nothing any more either, since the bucket may be a new one.
func (c *cache[T]) restart(watching bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watching = watching
	c.epoch++
	c.items.Purge()
	c.reported.Purge()
	for _, r := range c.readings {
		r.reported = notice{}
	}
}

// run watches the bucket until ctx ends.
func (c *cache[T]) run(ctx context.Context) error {
	for ctx.Err() == nil {
		watcher, err := c.store.Watch(ctx, ">")
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		c.restart(true)
		follow(ctx, watcher, func(event kvstore.Event) {
			if event.Kind == kvstore.Reset {
				c.restart(true)
				return
			}
			c.changed(event)
		})
		c.restart(false)
	}
	return nil
}

// follow hands the watcher's events to see until ctx ends or the store closes
// the watch, and stops the watcher.
func follow(ctx context.Context, w kvstore.Watcher, see func(kvstore.Event)) {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-w.Events():
			if !open {
				return
			}
			see(event)
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
