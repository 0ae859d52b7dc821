package records

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Leases let one process at a time do a task. A lease expires by itself, also if its holder
// has ended. It is no guarantee: a holder that was suspended past the end must stop, and its
// writes fail by their revisions.
type Leases struct{ bucket kvstore.Store }

// NewLeases returns the leases of buckets.
func NewLeases(buckets Buckets) *Leases { return &Leases{buckets.Leases} }

// Lease is valid until Until, by the holder's clock; on the server it ends a little later.
type Lease struct {
	Until    time.Time
	key      string
	revision uint64
}

// Acquire acquires the lease of key for ttl (whole seconds). It returns nil without an
// error while another holder has it.
func (l *Leases) Acquire(ctx context.Context, key, holder string, ttl time.Duration) (*Lease, error) {
	until := time.Now().Add(ttl)
	revision, err := l.bucket.Create(ctx, key, []byte(holder), ttl)
	if errors.Is(err, kvstore.ErrExists) {
		return nil, nil
	}
	if err != nil {
		return nil, DatabaseError("acquire the lease", err)
	}
	return &Lease{until, key, revision}, nil
}

// Release ends the lease. A failure is ignored: the lease expires by itself.
func (l *Leases) Release(ctx context.Context, lease *Lease) {
	_ = l.bucket.Delete(ctx, lease.key, lease.revision)
}
