package connection

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	cacheSize = 10_000
	// cacheMaxAge bounds how long a missed notification can matter.
	cacheMaxAge = time.Minute
)

// cache holds parsed records by key: at most cacheSize of them, however many
// exist. A watch of the bucket (names and revisions only) drops what changed.
// Records are read from the leader: what a lagging replica says could be older
// than the change that the watch has reported already, and would stay.
type cache[T any] struct {
	store kvstore.Store
	parse func(kvstore.Entry) (T, error)
	now   func() time.Time

	// watching is false while nobody would tell of changes: then nothing is
	// served from the cache.
	watching atomic.Bool

	mu    sync.Mutex
	items *simplelru.LRU[string, item[T]] // key → record, or what the watch said of it
}

type item[T any] struct {
	value    T
	filled   bool
	revision uint64 // of the value; or, if not filled, the revision reported
	at       time.Time
}

func newCache[T any](store kvstore.Store, parse func(kvstore.Entry) (T, error)) *cache[T] {
	items, err := simplelru.NewLRU[string, item[T]](cacheSize, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &cache[T]{store: store, parse: parse, now: time.Now, items: items}
}

// get returns the record of key, from memory if it is known to be current.
func (c *cache[T]) get(ctx context.Context, key string) (T, error) {
	c.mu.Lock()
	known, ok := c.items.Get(key)
	c.mu.Unlock()
	watching := c.watching.Load()
	if ok && known.filled && watching && c.now().Sub(known.at) < cacheMaxAge {
		return known.value, nil
	}
	entry, err := latest(ctx, c.store, key)
	if err != nil {
		var none T
		return none, err
	}
	value, err := c.parse(entry)
	if err == nil && watching {
		c.fill(key, value, entry.Revision)
	}
	return value, err
}

func (c *cache[T]) fill(key string, value T, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A change that was reported while we read wins over what we read.
	if known, ok := c.items.Peek(key); ok && known.revision > revision {
		return
	}
	c.items.Add(key, item[T]{value, true, revision, c.now()})
}

// changed drops what is held of key and remembers the revision to expect.
func (c *cache[T]) changed(key string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.items.Peek(key); ok && known.filled && known.revision >= revision {
		return
	}
	c.items.Add(key, item[T]{revision: revision})
}

func (c *cache[T]) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items.Purge()
}

// run watches the bucket until ctx ends.
func (c *cache[T]) run(ctx context.Context) error {
	for ctx.Err() == nil {
		watcher, err := c.store.Watch(ctx, ">")
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		c.drop()
		c.watching.Store(true)
		follow(ctx, watcher, func(event kvstore.Event) {
			if event.Kind == kvstore.Reset {
				c.drop()
				return
			}
			c.changed(event.Key, event.Revision)
		})
		c.watching.Store(false)
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
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
