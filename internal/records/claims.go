package records

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// claimTTL is longer than every redelivery of a request and the retention of results.
const claimTTL = 72 * time.Hour

// Claims says which executor calls the provider for a request that must not be repeated
// blindly. A claim is made before the call and never changes its holder: the claim of another
// holder means that the call may have been made.
type Claims struct{ bucket kvstore.Store }

// NewClaims returns the claims of buckets.
func NewClaims(buckets Buckets) *Claims { return &Claims{buckets.Claims} }

// Acquire claims the request for holder. It returns the holder of the existing claim: holder itself if
// the claim is new.
func (c *Claims) Acquire(ctx context.Context, a events.Action, holder string) (string, error) {
	key := a.Reference()
	for range kvstore.Attempts(ctx) {
		_, err := c.bucket.Create(ctx, key, []byte(holder), claimTTL)
		if err == nil {
			return holder, nil
		}
		if !errors.Is(err, kvstore.ErrExists) {
			return "", DatabaseError("claim the request", err)
		}
		e, err := latest(ctx, c.bucket, key)
		if err == nil {
			return string(e.Value), nil
		}
		if !errors.Is(err, kvstore.ErrNotFound) { // else it was released meanwhile
			return "", DatabaseError("read the claim of the request", err)
		}
	}
	return "", DatabaseError("claim the request", kvstore.ErrConflict)
}

// Release removes a claim, if the call was certainly not made.
func (c *Claims) Release(ctx context.Context, a events.Action) error {
	err := c.bucket.Delete(ctx, a.Reference(), 0)
	if err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return DatabaseError("release the claim of the request", err)
	}
	return nil
}
