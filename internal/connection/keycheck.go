package connection

import (
	"context"
	"errors"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

const keyCheck = "check"

// CheckKeyset makes sure that keys are those the records were sealed with: a
// value sealed at the first start has to open. A wrong keyset is an error with a
// sentence that says what to do.
func CheckKeyset(ctx context.Context, buckets Buckets, keys *crypto.Keyring) error {
	for range 2 {
		entry, err := latest(ctx, buckets.Keys, keyCheck)
		if err == nil {
			return crypto.VerifyCheckValue(keys, string(entry.Value))
		}
		if !errors.Is(err, kvstore.ErrNotFound) {
			return databaseError("read the check value of the keyset", err)
		}
		value, err := crypto.CheckValue(keys)
		if err != nil {
			return err
		}
		_, err = buckets.Keys.Create(ctx, keyCheck, []byte(value), 0)
		if !errors.Is(err, kvstore.ErrExists) {
			return err
		}
	}
	return databaseError("store the check value of the keyset", kvstore.ErrConflict)
}
