package connection

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// DedupHorizon is how long the id of a delivery is remembered unless it is set
// otherwise: providers try again for up to three days.
const DedupHorizon = 72 * time.Hour

const (
	// dedupPatience bounds a look into the memory of deliveries: it lies on the
	// path of a provider that waits.
	dedupPatience = 500 * time.Millisecond
	// maxSieved bounds the keys that are read into the sieve; with more than
	// that it would say "perhaps" too often to be worth it.
	maxSieved = 8_000_000
)

// Deliveries remember which deliveries are stored, beyond the window in which the
// stream itself drops repetitions. The bucket forgets by its TTL. Nil is a memory
// that holds nothing.
//
// Nearly every delivery is new, and a question about each would cost as much as
// half a publish. So an ingress keeps a sieve of the keys, fed by a watch of the
// bucket: what the sieve does not know needs no question. The watch may lag, by
// less than the stream's own window.
type Deliveries struct {
	bucket   kvstore.Store
	horizon  time.Duration
	sieve    atomic.Pointer[sieve]
	complete atomic.Bool // the sieve holds every key of the bucket
}

// NewDeliveries returns the memory kept in buckets, for the horizon that the
// bucket was opened with (0: [DedupHorizon]). Without Run, every question goes to
// the bucket.
func NewDeliveries(buckets Buckets, horizon time.Duration) *Deliveries {
	if horizon == 0 {
		horizon = DedupHorizon
	}
	return &Deliveries{bucket: buckets.Dedup, horizon: horizon}
}

// Horizon is how long a delivery is remembered.
func (d *Deliveries) Horizon() time.Duration {
	if d == nil {
		return DedupHorizon
	}
	return d.horizon
}

// Remember notes that the message with the id is stored. Noting it again is fine.
func (d *Deliveries) Remember(ctx context.Context, messageID string) error {
	if d == nil {
		return nil
	}
	_, err := d.bucket.Create(ctx, dedupKey(fingerprint(messageID)), nil, 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return databaseError("remember the delivery", err)
	}
	return nil
}

// Seen reports whether the message with the id was stored before. What was noted
// a moment ago may be missing: the stream's own window covers that.
func (d *Deliveries) Seen(ctx context.Context, messageID string) (bool, error) {
	if d == nil {
		return false, nil
	}
	mark := fingerprint(messageID)
	if d.complete.Load() && !d.sieve.Load().mayHold(mark) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dedupPatience)
	defer cancel()
	_, err := d.bucket.Get(ctx, dedupKey(mark))
	if errors.Is(err, kvstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, databaseError("look up the delivery", err)
	}
	return true, nil
}

// Run keeps the sieve until ctx ends.
func (d *Deliveries) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		watcher, err := d.bucket.Watch(ctx, ">")
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		d.watch(ctx, watcher)
		d.complete.Store(false)
	}
	return nil
}

// watch fills a new sieve and follows the bucket until the watcher has missed
// something.
func (d *Deliveries) watch(ctx context.Context, watcher kvstore.Watcher) {
	s := newSieve()
	d.sieve.Store(s)
	ctx, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	defer func() { cancel(); _ = g.Wait() }()
	g.Go(func() error {
		if d.fill(ctx, s) {
			d.complete.Store(true)
		}
		d.grow(ctx, s)
		return nil
	})
	follow(ctx, watcher, func(event kvstore.Event) {
		if event.Kind == kvstore.Reset {
			d.complete.Store(false)
			cancel()
			return
		}
		if mark, ok := parseDedupKey(event.Key); ok && event.Kind == kvstore.Put {
			s.add(mark)
		}
	})
}

// fill reads the bucket into the sieve and reports whether it is all in there.
func (d *Deliveries) fill(ctx context.Context, s *sieve) bool {
	n := 0
	for entry, err := range d.bucket.List(ctx, ">") {
		if n++; err != nil || n > maxSieved {
			return false
		}
		if mark, ok := parseDedupKey(entry.Key); ok {
			s.add(mark)
		}
	}
	return ctx.Err() == nil
}

func (d *Deliveries) grow(ctx context.Context, s *sieve) {
	tick := time.NewTicker(d.horizon / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.age()
		case <-ctx.Done():
			return
		}
	}
}

// fingerprint is short, whatever the provider's ids are like: every key costs
// memory on the server. 128 bits of SHA-256 leave no room for accidents. It is the
// same for the id that is published with and for the one that stands in the message.
func fingerprint(messageID string) [16]byte {
	sum := sha256.Sum256([]byte(events.WrittenID(messageID)))
	return [16]byte(sum[:16])
}

func dedupKey(mark [16]byte) string { return base64.RawURLEncoding.EncodeToString(mark[:]) }

func parseDedupKey(key string) (mark [16]byte, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(b) != len(mark) {
		return mark, false
	}
	return [16]byte(b), true
}
