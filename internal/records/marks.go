package records

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// maxLosses bounds what is remembered of losses.
const maxLosses = 50

// Marks remember how far the streams were, as their owner writes it, and what was lost.
type Marks struct{ bucket kvstore.Store }

// NewMarks returns the marks in buckets.
func NewMarks(buckets Buckets) *Marks { return &Marks{buckets.Marks} }

// Recorded is what is stored about all streams.
type Recorded struct {
	At      time.Time       `json:"at"`
	Streams json.RawMessage `json:"streams"`
	Losses  []Loss          `json:"losses,omitempty"` // newest last
}

// Loss is what a start has found missing.
type Loss struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

const marksKey = "streams"

// Get returns what is stored, the zero value if nothing is.
func (m *Marks) Get(ctx context.Context) (Recorded, error) {
	e, err := latest(ctx, m.bucket, marksKey)
	if errors.Is(err, kvstore.ErrNotFound) {
		return Recorded{}, nil
	}
	if err != nil {
		return Recorded{}, DatabaseError("read the marks of streams", err)
	}
	var r Recorded
	if json.Unmarshal(e.Value, &r) != nil {
		return Recorded{}, nil // a newer version wrote it; start anew
	}
	return r, nil
}

// Put stores the marks and adds losses, unless another process stored marks less than
// interval ago and there are no losses.
func (m *Marks) Put(ctx context.Context, streams json.RawMessage, losses []Loss, interval time.Duration) error {
	now := time.Now().UTC()
	_, err := kvstore.Modify(ctx, m.bucket, marksKey, func(old []byte) ([]byte, error) {
		var r Recorded
		_ = json.Unmarshal(old, &r) // unreadable: start anew
		if len(losses) == 0 && now.Sub(r.At) < interval {
			return nil, kvstore.ErrKeep
		}
		r.Losses = append(r.Losses, losses...)
		r.Losses = r.Losses[max(len(r.Losses)-maxLosses, 0):]
		r.At, r.Streams = now, streams
		return json.Marshal(r)
	})
	if err != nil {
		return DatabaseError("store the marks of streams", err)
	}
	return nil
}
