package connection_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

// countingStore counts the reads that reach the bucket.
type countingStore struct {
	kvstore.Store
	reads atomic.Int64
	fail  atomic.Bool
}

func (s *countingStore) Get(ctx context.Context, key string) (kvstore.Entry, error) {
	s.reads.Add(1)
	if s.fail.Load() {
		return kvstore.Entry{}, kvstore.ErrUnavailable
	}
	return s.Store.Get(ctx, key)
}

func TestNewDeliveriesCostNoReadOnceTheSieveIsFull(t *testing.T) {
	t.Parallel()
	bucket := &countingStore{Store: memkv.New(nil)}
	d := connection.NewDeliveries(connection.Buckets{Dedup: bucket}, 0)
	for n := range 100 {
		if err := d.Remember(t.Context(), fmt.Sprintf("before-%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	defer func() { stop(); <-done }()

	// Until the sieve is full, every question is a read; then none is.
	deadline := time.Now().Add(30 * time.Second)
	for n := 0; ; n++ {
		reads := bucket.reads.Load()
		if seen, err := d.Seen(t.Context(), fmt.Sprintf("new-%d", n)); seen || err != nil {
			t.Fatalf("a new delivery: seen %v, error %v", seen, err)
		}
		if bucket.reads.Load() == reads {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("every new delivery still costs a read")
		}
	}
	for n := range 100 {
		if seen, err := d.Seen(t.Context(), fmt.Sprintf("before-%d", n)); !seen || err != nil {
			t.Fatalf("delivery %d from before: seen %v, error %v, want true", n, seen, err)
		}
	}
	// What others note comes in by the watch.
	if err := d.Remember(t.Context(), "after"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		seen, err := d.Seen(t.Context(), "after")
		if err != nil {
			t.Fatal(err)
		}
		if seen {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what was noted later is not seen")
		}
	}
}

func TestAMemoryThatCannotBeAskedSaysSo(t *testing.T) {
	t.Parallel()
	bucket := &countingStore{Store: memkv.New(nil)}
	bucket.fail.Store(true)
	d := connection.NewDeliveries(connection.Buckets{Dedup: bucket}, 0)
	if _, err := d.Seen(t.Context(), "x"); !errors.Is(err, kvstore.ErrUnavailable) {
		t.Errorf("got %v, want an error that wraps ErrUnavailable", err)
	}
}
