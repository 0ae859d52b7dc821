// Package kvstore is the key-value store in which Hawser keeps its records: a
// small interface that strangers can implement, the rules every driver keeps,
// and [Modify], the read-change-write that everybody needs.
//
// Drivers: natskv (JetStream, what runs in production) and memkv (memory, for
// tests and trials). kvtest is the suite that a driver has to pass; the
// sentences of this package's comments are what it tests.
//
// # The rules
//
// A key has one value at a time and a revision, which grows with every change
// of the key, deletions included, and is never used twice. A write names the
// revision that it replaces; whoever comes second gets [ErrConflict] and reads
// again. There is no lock and no blind write.
//
// Values belong to the caller: a driver copies what it is given, and what it
// returns may be changed.
//
// Every method fails with the context's error inside [ErrUnavailable] when the
// context ends first. A write that fails with ErrUnavailable may have been
// stored or may be stored later: only a later read tells.
package kvstore

import (
	"context"
	"errors"
	"iter"
	"time"
)

// The outcomes that callers branch on, with [errors.Is]. Drivers wrap them with
// the operation and the key, never with the value.
var (
	// ErrNotFound: there is no such key, because it was never created, was
	// deleted, or expired.
	ErrNotFound = errors.New("key not found")
	// ErrExists: the key to create is there already.
	ErrExists = errors.New("key exists")
	// ErrConflict: the key is not at the revision that the write named. Nothing
	// was written: read again.
	ErrConflict = errors.New("revision conflict")
	// ErrUnavailable: the store did not answer in time or cannot serve. A write
	// may or may not have happened.
	ErrUnavailable = errors.New("store unavailable")
	// ErrKey: the key or the filter breaks the rules of [CheckKey] and
	// [CheckFilter]. No request was made.
	ErrKey = errors.New("bad key")
	// ErrTooLarge: the value is larger than the store takes. Trying again does
	// not help.
	ErrTooLarge = errors.New("value too large")
)

// Entry is one key at one revision.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64    // above 0 for every stored entry
	Created  time.Time // when this revision was written, by the store's clock
}

// Store is what a driver implements. It is safe for concurrent use.
type Store interface {
	// Get returns the key's value, or [ErrNotFound]. On a replicated store it
	// may be a little old, even right after a write of the same caller: the
	// revision tells, and [LatestGetter] reads past it.
	Get(ctx context.Context, key string) (Entry, error)

	// Create stores a key that is not there and returns its revision, or
	// [ErrExists]. A deleted or expired key can be created again at once.
	// A ttl above 0 (whole seconds, see [CheckTTL]) lets the key expire by
	// itself; 0 keeps it for as long as the store keeps keys.
	Create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error)

	// Update replaces the value if the key is still at revision, and returns
	// the new one. A revision that is not the key's is [ErrConflict]; so is a
	// key that is not there, and revision 0. The new value does not expire,
	// whatever ttl the key was created with.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)

	// Delete removes the key if it is still at revision; 0 removes whatever is
	// there. [ErrNotFound] if the key is absent, [ErrConflict] if it is there
	// at another revision.
	Delete(ctx context.Context, key string, revision uint64) error

	// List yields the entries whose keys match the filter (see [CheckFilter]),
	// in no particular order. It may be as old as Get. A key that nobody
	// touches during the call comes exactly once; one that changes meanwhile
	// may come twice, the newer revision second. An error is yielded last, with
	// a zero Entry. The loop's body may call the store.
	List(ctx context.Context, filter string) iter.Seq2[Entry, error]

	// Watch reports what happens to matching keys from now on: every key that
	// changes after Watch returned. Of several changes of one key in a row, only
	// the last may be reported. The context bounds the call only; the watcher
	// lives until it is stopped. Whoever keeps entries in memory and drops them
	// by a watch reads them after Watch returned, and with GetLatest where there
	// is one: a stale Get could be older than the watch.
	Watch(ctx context.Context, filter string) (Watcher, error)
}

// LatestGetter is a [Store] that can read past stale replicas.
type LatestGetter interface {
	// GetLatest is Get answered by whoever decides about writes: it sees every
	// write that was acknowledged before the call.
	GetLatest(ctx context.Context, key string) (Entry, error)
}

// Counter is a [Store] that can count without reading values.
type Counter interface {
	// Count returns how many keys match the filter. It may be as old as Get; of
	// writes made meanwhile, each may or may not be counted.
	Count(ctx context.Context, filter string) (int, error)
}

// Count returns how many keys match the filter, by [Counter] if s is one.
func Count(ctx context.Context, s Store, filter string) (int, error) {
	if counter, ok := s.(Counter); ok {
		return counter.Count(ctx, filter)
	}
	keys := map[string]struct{}{} // one that changes meanwhile may come twice
	for e, err := range s.List(ctx, filter) {
		if err != nil {
			return 0, err
		}
		keys[e.Key] = struct{}{}
	}
	return len(keys), nil
}
