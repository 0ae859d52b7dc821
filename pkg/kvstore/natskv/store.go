// Package natskv keeps a [kvstore.Store] in a JetStream key-value bucket.
//
// It reads and writes the format of the NATS clients, so `nats kv` can look at
// a bucket. It does not go through their KeyValue type, because that cannot
// read from the leader, cannot say whether a timed-out write was stored, does
// not tell a watcher that it missed something, and lists by consumer.
//
// # In the bucket
//
// A key is the subject $KV.<bucket>.<key>; only its last message is kept. The
// message's sequence is the key's revision. Headers that matter:
//
//	Nats-TTL: 30s            the key expires by itself
//	Write-Id: <unique>       which call wrote this, see change
//	KV-Operation: PURGE      a marker: the key was deleted
//	Nats-Marker-Reason: …    a marker: the key expired (by the server)
//
// Markers tell watchers about deletions and remove themselves after
// [Bucket].MarkerTTL.
//
// # On a cluster
//
// Get, List and Count may be answered by a follower that is a little behind.
// GetLatest and every write are decided by the stream's leader.
package natskv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Store is one bucket: a [kvstore.Store], a [kvstore.LatestGetter] and a
// [kvstore.Counter]. Safe for concurrent use. There is nothing to close but
// the connection.
type Store struct {
	js     jetstream.JetStream
	nc     *nats.Conn
	stream jetstream.Stream

	bucket    string
	prefix    string // of the subjects: "$KV.<bucket>."
	name      string // of the stream
	maxValue  int    // 0 = no bound of ours
	markerTTL time.Duration

	timeout   time.Duration
	heartbeat time.Duration
	buffer    int
}

// Options of [Open]. The zero value of each field is the default.
type Options struct {
	// Timeout is the deadline of calls whose context has none. 0 = 2 s.
	Timeout time.Duration
	// Heartbeat is how often the server shows a watcher that it is alive, at
	// least 100 ms. After three of these in silence the watch is set up anew.
	// 0 = 5 s.
	Heartbeat time.Duration
	// WatchBuffer is how many events a watcher holds for a slow reader. 0 = 1024.
	WatchBuffer int
	// OnChange is called with the settings of an existing bucket that differ, before
	// they are changed. Optional.
	OnChange func(change string)
}

// Open creates the bucket, or updates it where it differs, and returns its
// store. js has to use the default API prefix. opts may be nil. Open may be
// called by many processes at once, at every start.
func Open(ctx context.Context, js jetstream.JetStream, b Bucket, opts *Options) (*Store, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{
		js: js, nc: js.Conn(),
		bucket: b.Name, prefix: b.prefix(), name: b.stream(),
		maxValue: b.MaxValueSize, markerTTL: b.markerTTL(),
		timeout:   cmp.Or(opts.Timeout, 2*time.Second),
		heartbeat: cmp.Or(opts.Heartbeat, 5*time.Second),
		buffer:    cmp.Or(opts.WatchBuffer, 1024),
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	stream, err := b.ensure(ctx, js, opts.OnChange)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", b.Name, unavailable(err))
	}
	s.stream = stream
	return s, nil
}

// Get implements [kvstore.Store].
func (s *Store) Get(ctx context.Context, key string) (kvstore.Entry, error) {
	return s.read(ctx, "get", key, s.near)
}

// GetLatest implements [kvstore.LatestGetter].
func (s *Store) GetLatest(ctx context.Context, key string) (kvstore.Entry, error) {
	return s.read(ctx, "get latest", key, s.last)
}

func (s *Store) read(
	ctx context.Context, op, key string, from func(context.Context, string) (record, error),
) (kvstore.Entry, error) {
	if err := kvstore.CheckKey(key); err != nil {
		return kvstore.Entry{}, s.wrap(op, key, err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	r, err := from(ctx, key)
	if err == nil && r.absent() {
		err = kvstore.ErrNotFound
	}
	if err != nil {
		return kvstore.Entry{}, s.wrap(op, key, err)
	}
	return r.entry(), nil
}

// Create implements [kvstore.Store].
func (s *Store) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	err := s.checkWrite(key, value)
	if err == nil {
		err = kvstore.CheckTTL(ttl)
	}
	if err != nil {
		return 0, s.wrap("create", key, err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	c := change{key: key, value: value, ttl: ttl}
	for range conflictTries {
		revision, found, err := s.apply(ctx, c)
		if !errors.Is(err, kvstore.ErrConflict) {
			return revision, s.wrap("create", key, err)
		}
		if !found.absent() {
			return 0, s.wrap("create", key, kvstore.ErrExists)
		}
		c.expected = found.seq // a marker, to be replaced, or it has just gone
	}
	return 0, s.wrap("create", key, fmt.Errorf("%w: the key changes all the time", kvstore.ErrUnavailable))
}

// Update implements [kvstore.Store].
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	err := s.checkWrite(key, value)
	if err == nil && revision == 0 {
		err = kvstore.ErrConflict // to the server, 0 would mean "create"
	}
	if err != nil {
		return 0, s.wrap("update", key, err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	revision, _, err = s.apply(ctx, change{key: key, value: value, expected: revision})
	return revision, s.wrap("update", key, err)
}

// Delete implements [kvstore.Store].
func (s *Store) Delete(ctx context.Context, key string, revision uint64) error {
	if err := kvstore.CheckKey(key); err != nil {
		return s.wrap("delete", key, err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if revision != 0 {
		return s.wrap("delete", key, s.deleteAt(ctx, key, revision))
	}
	for range conflictTries {
		r, err := s.last(ctx, key)
		if err == nil && r.absent() {
			err = kvstore.ErrNotFound
		}
		if err == nil {
			err = s.deleteAt(ctx, key, r.seq)
		}
		if !errors.Is(err, kvstore.ErrConflict) {
			return s.wrap("delete", key, err)
		}
	}
	return s.wrap("delete", key, fmt.Errorf("%w: the key changes all the time", kvstore.ErrUnavailable))
}

// deleteAt puts a marker over revision. The marker says PURGE, not DEL: over a
// DEL that runs out the server would put a marker of its own.
func (s *Store) deleteAt(ctx context.Context, key string, revision uint64) error {
	_, found, err := s.apply(ctx, change{
		key: key, expected: revision, ttl: s.markerTTL, operation: operationPurge,
	})
	if errors.Is(err, kvstore.ErrConflict) && found.absent() {
		return kvstore.ErrNotFound
	}
	return err
}

func (s *Store) checkWrite(key string, value []byte) error {
	if s.maxValue > 0 && len(value) > s.maxValue {
		return fmt.Errorf("%w: %d bytes, the limit is %d", kvstore.ErrTooLarge, len(value), s.maxValue)
	}
	return kvstore.CheckKey(key)
}

// bound gives ctx a deadline if it has none.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}

// wrap names the operation and the object. nil stays nil.
func (s *Store) wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s/%s: %w", op, s.bucket, key, err)
}
