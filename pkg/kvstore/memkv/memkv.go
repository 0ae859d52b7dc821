// Package memkv keeps a [kvstore.Store] in memory. It is a real driver, which
// passes the same suite as the others, for tests and for trying things out:
// nothing survives the process.
//
// Expiry runs on [time.AfterFunc], so that under testing/synctest an hour
// passes in no time.
package memkv

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// watchBuffer is how many events a watcher holds for a slow reader.
const watchBuffer = 1024

// Store is a store in memory: a [kvstore.Store], a [kvstore.LatestGetter] and a
// [kvstore.Counter]. Safe for concurrent use. There is nothing to close.
type Store struct {
	ttl      time.Duration
	maxValue int

	mu       sync.RWMutex       // guards everything below
	keys     []string           // sorted
	entries  map[string]*record // key → what is there
	revision uint64             // the last one given out
	watchers map[*watcher]struct{}
}

// record is a stored entry and its clock.
type record struct {
	kvstore.Entry
	expiry *time.Timer // nil = never
}

// Options of a store. The zero value of each field is the default.
type Options struct {
	// TTL removes every key that was not written for so long. 0 = never.
	TTL time.Duration
	// MaxValueSize bounds values, in bytes. 0 = no bound.
	MaxValueSize int
}

// New returns an empty store. opts may be nil.
func New(opts *Options) *Store {
	if opts == nil {
		opts = &Options{}
	}
	return &Store{
		ttl:      opts.TTL,
		maxValue: opts.MaxValueSize,
		entries:  make(map[string]*record),
		watchers: make(map[*watcher]struct{}),
	}
}

// Get implements [kvstore.Store]. It is never old.
func (s *Store) Get(ctx context.Context, key string) (kvstore.Entry, error) {
	if err := check(ctx, key); err != nil {
		return kvstore.Entry{}, fmt.Errorf("get %s: %w", key, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.entries[key]
	if !ok {
		return kvstore.Entry{}, fmt.Errorf("get %s: %w", key, kvstore.ErrNotFound)
	}
	return r.copy(), nil
}

// GetLatest implements [kvstore.LatestGetter]: it is Get.
func (s *Store) GetLatest(ctx context.Context, key string) (kvstore.Entry, error) {
	return s.Get(ctx, key)
}

// Create implements [kvstore.Store].
func (s *Store) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	err := s.checkWrite(ctx, key, value)
	if err == nil {
		err = kvstore.CheckTTL(ttl)
	}
	if err != nil {
		return 0, fmt.Errorf("create %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[key]; ok {
		return 0, fmt.Errorf("create %s: %w", key, kvstore.ErrExists)
	}
	at, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Insert(s.keys, at, key)
	return s.putLocked(key, value, ttl), nil
}

// Update implements [kvstore.Store].
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := s.checkWrite(ctx, key, value); err != nil {
		return 0, fmt.Errorf("update %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.entries[key]
	if !ok || r.Revision != revision {
		return 0, fmt.Errorf("update %s: %w", key, kvstore.ErrConflict)
	}
	r.stop()
	return s.putLocked(key, value, 0), nil
}

// Delete implements [kvstore.Store].
func (s *Store) Delete(ctx context.Context, key string, revision uint64) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.entries[key]
	switch {
	case !ok:
		return fmt.Errorf("delete %s: %w", key, kvstore.ErrNotFound)
	case revision != 0 && r.Revision != revision:
		return fmt.Errorf("delete %s: %w", key, kvstore.ErrConflict)
	}
	r.stop()
	s.removeLocked(key)
	return nil
}

// List implements [kvstore.Store]. It yields what was there when the loop
// began, by key.
func (s *Store) List(ctx context.Context, filter string) iter.Seq2[kvstore.Entry, error] {
	return func(yield func(kvstore.Entry, error) bool) {
		matching, err := s.match(ctx, filter)
		if err != nil {
			yield(kvstore.Entry{}, fmt.Errorf("list %s: %w", filter, err))
			return
		}
		for _, r := range matching {
			if err := ctx.Err(); err != nil {
				yield(kvstore.Entry{}, fmt.Errorf("list %s: %w: %w", filter, kvstore.ErrUnavailable, err))
				return
			}
			// A record never changes once stored, so it is copied outside the lock.
			if !yield(r.copy(), nil) {
				return
			}
		}
	}
}

// Count implements [kvstore.Counter].
func (s *Store) Count(ctx context.Context, filter string) (int, error) {
	matching, err := s.match(ctx, filter)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", filter, err)
	}
	return len(matching), nil
}

// match returns the records that match filter, by key.
func (s *Store) match(ctx context.Context, filter string) ([]*record, error) {
	if err := kvstore.CheckFilter(filter); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", kvstore.ErrUnavailable, err)
	}
	prefix := filter
	if wildcard := strings.IndexAny(filter, "*>"); wildcard >= 0 {
		prefix = filter[:wildcard]
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var matching []*record
	first, _ := slices.BinarySearch(s.keys, prefix)
	for _, key := range s.keys[first:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if kvstore.Match(filter, key) {
			matching = append(matching, s.entries[key])
		}
	}
	return matching, nil
}

// putLocked stores value under key, whose place in keys exists, and tells.
func (s *Store) putLocked(key string, value []byte, ttl time.Duration) uint64 {
	s.revision++
	r := &record{Entry: kvstore.Entry{
		Key: key, Value: append([]byte{}, value...), Revision: s.revision, Created: time.Now(),
	}}
	if s.ttl > 0 && (ttl == 0 || s.ttl < ttl) {
		ttl = s.ttl
	}
	if ttl > 0 {
		r.expiry = time.AfterFunc(ttl, func() { s.expire(r) })
	}
	s.entries[key] = r
	s.tellLocked(kvstore.Event{Kind: kvstore.Put, Key: key, Revision: s.revision})
	return s.revision
}

// expire removes r, unless its key was written or deleted since.
func (s *Store) expire(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[r.Key] == r {
		s.removeLocked(r.Key)
	}
}

func (s *Store) removeLocked(key string) {
	delete(s.entries, key)
	at, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Delete(s.keys, at, at+1)
	s.revision++
	s.tellLocked(kvstore.Event{Kind: kvstore.Deleted, Key: key, Revision: s.revision})
}

func (r *record) copy() kvstore.Entry {
	e := r.Entry
	e.Value = bytes.Clone(e.Value)
	return e
}

func (r *record) stop() {
	if r.expiry != nil {
		r.expiry.Stop()
	}
}

func (s *Store) checkWrite(ctx context.Context, key string, value []byte) error {
	if s.maxValue > 0 && len(value) > s.maxValue {
		return fmt.Errorf("%w: %d bytes, the limit is %d", kvstore.ErrTooLarge, len(value), s.maxValue)
	}
	return check(ctx, key)
}

func check(ctx context.Context, key string) error {
	if err := kvstore.CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", kvstore.ErrUnavailable, err)
	}
	return nil
}
