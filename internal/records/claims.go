package records

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// claimTTL outlives every delivery of a request and the retention of results.
const claimTTL = 72 * time.Hour

// Claims remember who calls the provider for a request that must not be repeated
// blindly. A claim is made before the call and never taken over: who finds a
// foreign claim knows that the call may have happened.
type Claims struct{ bucket kvstore.Store }

// NewClaims returns the claims kept in buckets.
func NewClaims(buckets Buckets) *Claims { return &Claims{buckets.Claims} }

// Acquire claims the request for holder. It returns the holder of the claim that
// stands: the caller's own name if the claim is new.
func (c *Claims) Acquire(ctx context.Context, a events.Action, holder string) (string, error) {
	key := events.Reference(a.ActionRef, a.ID)
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
		if !errors.Is(err, kvstore.ErrNotFound) { // else it was given back meanwhile
			return "", DatabaseError("read the claim of the request", err)
		}
	}
	return "", DatabaseError("claim the request", kvstore.ErrConflict)
}

// Release gives a claim back: the provider certainly did nothing.
func (c *Claims) Release(ctx context.Context, a events.Action) error {
	err := c.bucket.Delete(ctx, events.Reference(a.ActionRef, a.ID), 0)
	if err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return DatabaseError("release the claim of the request", err)
	}
	return nil
}
