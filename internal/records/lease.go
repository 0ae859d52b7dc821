package records

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Leases let one process at a time do a thing. The server ends a lease by itself,
// so that a dead holder holds nobody up. A lease is no fence: who has slept past
// its end must not go on, and what is written afterwards is fenced by revisions.
type Leases struct{ bucket kvstore.Store }

// NewLeases returns the leases kept in buckets.
func NewLeases(buckets Buckets) *Leases { return &Leases{buckets.Leases} }

// Lease is held until Until by the holder's clock, which it errs on the early side of.
type Lease struct {
	Until    time.Time
	key      string
	revision uint64
}

// Acquire takes the lease of key for ttl (whole seconds). It is nil, without an
// error, while somebody else holds it.
func (l *Leases) Acquire(ctx context.Context, key, holder string, ttl time.Duration) (*Lease, error) {
	until := time.Now().Add(ttl)
	revision, err := l.bucket.Create(ctx, key, []byte(holder), ttl)
	if errors.Is(err, kvstore.ErrExists) {
		return nil, nil
	}
	if err != nil {
		return nil, DatabaseError("take the lease", err)
	}
	return &Lease{until, key, revision}, nil
}

// Release gives the lease back. A failure is no error: it ends by itself.
func (l *Leases) Release(ctx context.Context, lease *Lease) {
	_ = l.bucket.Delete(ctx, lease.key, lease.revision)
}
