package connection

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// DedupHorizon is how long the id of a delivery is remembered unless it is set
// otherwise: providers try again for up to three days.
const DedupHorizon = 72 * time.Hour

// dedupPatience bounds a look into the memory of deliveries: it lies on the path
// of a provider that waits.
const dedupPatience = 500 * time.Millisecond

// Deliveries remember which deliveries are stored, beyond the window in which the
// stream itself drops repetitions. The bucket forgets by its TTL.
type Deliveries struct{ bucket kvstore.Store }

// NewDeliveries returns the memory kept in buckets.
func NewDeliveries(buckets Buckets) *Deliveries { return &Deliveries{buckets.Dedup} }

// Remember notes that the message with the id is stored. Noting it again is fine.
func (d *Deliveries) Remember(ctx context.Context, messageID string) error {
	_, err := d.bucket.Create(ctx, dedupKey(messageID), nil, 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return databaseError("remember the delivery", err)
	}
	return nil
}

// Seen reports whether the message with the id was stored before. What was noted
// a moment ago may be missing on a replica: the stream's own window covers that.
func (d *Deliveries) Seen(ctx context.Context, messageID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dedupPatience)
	defer cancel()
	_, err := d.bucket.Get(ctx, dedupKey(messageID))
	if errors.Is(err, kvstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, databaseError("look up the delivery", err)
	}
	return true, nil
}

// dedupKey is short, whatever the provider's ids are like: every key costs memory
// on the server. 128 bits of SHA-256 leave no room for accidents.
func dedupKey(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
