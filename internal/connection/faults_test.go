package connection_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// wrapped is a store in memory with another's ways: what tests do to a driver.
// Nil functions change nothing.
type wrapped struct {
	kvstore.Store
	latest func(ctx context.Context, key string) (kvstore.Entry, error)
	// write is called with every write, which do carries out.
	write func(op, key string, do func() error) error
	watch func(ctx context.Context, filter string) (kvstore.Watcher, error)
}

func (s *wrapped) GetLatest(ctx context.Context, key string) (kvstore.Entry, error) {
	if s.latest != nil {
		return s.latest(ctx, key)
	}
	return s.Store.(kvstore.LatestGetter).GetLatest(ctx, key)
}

func (s *wrapped) Count(ctx context.Context, filter string) (int, error) {
	return s.Store.(kvstore.Counter).Count(ctx, filter)
}

func (s *wrapped) Watch(ctx context.Context, filter string) (kvstore.Watcher, error) {
	if s.watch != nil {
		return s.watch(ctx, filter)
	}
	return s.Store.Watch(ctx, filter)
}

func (s *wrapped) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (rev uint64, err error) {
	err = s.doing("create", key, func() error { rev, err = s.Store.Create(ctx, key, value, ttl); return err })
	return rev, err
}

func (s *wrapped) Update(ctx context.Context, key string, value []byte, revision uint64) (rev uint64, err error) {
	err = s.doing("update", key, func() error { rev, err = s.Store.Update(ctx, key, value, revision); return err })
	return rev, err
}

func (s *wrapped) Delete(ctx context.Context, key string, revision uint64) error {
	return s.doing("delete", key, func() error { return s.Store.Delete(ctx, key, revision) })
}

func (s *wrapped) doing(op, key string, do func() error) error {
	if s.write == nil {
		return do()
	}
	return s.write(op, key, do)
}

// withoutNews makes the watches of a bucket tell nothing.
func withoutNews(bucket string) func(string, kvstore.Store) kvstore.Store {
	return func(name string, s kvstore.Store) kvstore.Store {
		if name != bucket {
			return s
		}
		return &wrapped{Store: s, watch: func(context.Context, string) (kvstore.Watcher, error) { return newNews(), nil }}
	}
}

// news is a watcher that tells what the test says.
type news struct{ *kvstore.Feed }

func newNews() *news   { return &news{kvstore.NewFeed(64)} }
func (n *news) Stop()  { n.Close() }
func (n *news) reset() { n.Send(kvstore.Event{Kind: kvstore.Reset}) }

// death is a process that ends after a number of writes: from then on, nothing of
// it reaches the store. Or it lives on, and only that one write gets no answer.
type death struct {
	left atomic.Int64 // writes until the end
	seen atomic.Int64 // writes so far
	late bool         // the write at the end is stored, and its answer lost
	once bool         // it is no end: what comes after works again
}

func (d *death) wrap(_ string, s kvstore.Store) kvstore.Store {
	gone := func() error { return fmt.Errorf("%w: the process has ended", kvstore.ErrUnavailable) }
	w := &wrapped{Store: s}
	w.write = func(_, _ string, do func() error) error {
		d.seen.Add(1)
		left := d.left.Add(-1)
		if left >= 0 || left < -1 && d.once {
			return do()
		}
		if left == -1 && d.late {
			_ = do()
		}
		return gone()
	}
	w.latest = func(ctx context.Context, key string) (kvstore.Entry, error) {
		if d.left.Load() < 0 && !d.once {
			return kvstore.Entry{}, gone()
		}
		return s.(kvstore.LatestGetter).GetLatest(ctx, key)
	}
	return w
}

// run runs something until the test is over, and waits for it.
func run(t testing.TB, what func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := what(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func ignored[T any](_ T, err error) error { return err }
