package memkv

import (
	"context"
	"fmt"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// watcher is one watch. It has no goroutine: writers put events in its feed.
type watcher struct {
	store  *Store
	filter string
	feed   *kvstore.Feed
}

// Watch implements [kvstore.Store]. [kvstore.Reset] comes only when the reader
// is slow.
func (s *Store) Watch(ctx context.Context, filter string) (kvstore.Watcher, error) {
	if err := kvstore.CheckFilter(filter); err != nil {
		return nil, fmt.Errorf("watch %s: %w", filter, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch %s: %w: %w", filter, kvstore.ErrUnavailable, err)
	}
	w := &watcher{store: s, filter: filter, feed: kvstore.NewFeed(watchBuffer)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	return w, nil
}

func (s *Store) tellLocked(e kvstore.Event) {
	for w := range s.watchers {
		if kvstore.Match(w.filter, e.Key) {
			w.feed.Send(e)
		}
	}
}

// Events implements [kvstore.Watcher].
func (w *watcher) Events() <-chan kvstore.Event { return w.feed.Events() }

// Stop implements [kvstore.Watcher].
func (w *watcher) Stop() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.watchers, w)
	w.feed.Close()
}
