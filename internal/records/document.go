package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// documents reads and writes short-lived records, without a cache: flows and sessions.
// what is the noun for one of them in errors.
type documents struct {
	bucket kvstore.Store
	what   string
}

// create stores a new document and returns its revision.
func (d documents) create(ctx context.Context, key string, document any) (uint64, error) {
	value, err := json.Marshal(document)
	if err != nil {
		return 0, DatabaseError("store the "+d.what, err)
	}
	revision, err := d.bucket.Create(ctx, key, value, 0)
	if err != nil {
		return 0, DatabaseError("store the "+d.what, err)
	}
	return revision, nil
}

// latest reads a document into the given one. [ErrNotFound] if there is none.
func (d documents) latest(ctx context.Context, key string, document any) (revision uint64, err error) {
	e, err := latest(ctx, d.bucket, key)
	if errors.Is(err, kvstore.ErrNotFound) {
		return 0, err
	}
	if err != nil {
		return 0, DatabaseError("read the "+d.what, err)
	}
	if err := json.Unmarshal(e.Value, document); err != nil {
		return 0, DatabaseError("read the "+d.what, fmt.Errorf("%s %s is malformed", d.what, key))
	}
	return e.Revision, nil
}

// save updates a document over the revision that it was read at, and returns the new
// one. [ErrConflict] if it was changed since.
func (d documents) save(ctx context.Context, key string, document any, revision uint64) (uint64, error) {
	value, err := json.Marshal(document)
	if err != nil {
		return 0, DatabaseError("store the "+d.what, err)
	}
	next, err := d.bucket.Update(ctx, key, value, revision)
	if err != nil && !errors.Is(err, kvstore.ErrConflict) {
		err = DatabaseError("store the "+d.what, err)
	}
	return next, err
}
