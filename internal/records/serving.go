package records

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Serving records until when a connector counts as served: executors that have its code
// renew the entry, and it lies after their end until the time that it names. A definition
// alone does not say whether an executor for it still exists.
type Serving struct{ bucket kvstore.Store }

// NewServing returns what is recorded in buckets.
func NewServing(buckets Buckets) *Serving { return &Serving{buckets.Leases} }

func servingKey(connector string) string { return "served." + events.Token(connector) }

// Renew records that the connector is served for d from now on. It writes only if less
// than three quarters of d are left, since many executors renew one entry.
func (s *Serving) Renew(ctx context.Context, connector string, d time.Duration) error {
	until := time.Now().Add(d).UTC()
	_, err := kvstore.Modify(ctx, s.bucket, servingKey(connector), func(old []byte) ([]byte, error) {
		var recorded time.Time
		if recorded.UnmarshalText(old) == nil && recorded.After(until.Add(-d/4)) {
			return nil, kvstore.ErrKeep
		}
		return until.MarshalText()
	})
	if err != nil {
		return DatabaseError("record that a connector is served", err)
	}
	return nil
}

// Until returns until when the connector is served, the zero time if that was never recorded.
func (s *Serving) Until(ctx context.Context, connector string) (time.Time, error) {
	entry, err := latest(ctx, s.bucket, servingKey(connector))
	if errors.Is(err, kvstore.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, DatabaseError("read whether a connector is served", err)
	}
	var until time.Time
	if err := until.UnmarshalText(entry.Value); err != nil {
		return time.Time{}, DatabaseError("read whether a connector is served", err)
	}
	return until, nil
}
