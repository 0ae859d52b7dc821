package records

import (
	"context"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

const keyCheck = "check"

// CheckKeyset returns an error if keys are not those that the records are sealed with: a value
// sealed at the first start has to open. A value that an older key has sealed is sealed again
// with the primary key, so that the older key can be removed later.
// Without keys it is CONNECTOR_ENCRYPTION_SECRET_REQUIRED.
func CheckKeyset(ctx context.Context, buckets Buckets, keys *crypto.Keyring) error {
	if keys == nil {
		return connectors.Errorf(connectors.CodeConnectorEncryptionSecretRequired, "a keyset is needed to seal records with")
	}
	for range kvstore.Attempts(ctx) {
		entry, err := latest(ctx, buckets.Keys, keyCheck)
		absent := errors.Is(err, kvstore.ErrNotFound)
		if err != nil && !absent {
			return DatabaseError("read the check value of the keyset", err)
		}
		if !absent {
			if err := crypto.VerifyCheckValue(keys, string(entry.Value)); err != nil {
				return err
			}
			if id, err := crypto.KeyID(string(entry.Value)); err != nil || id == keys.PrimaryID() {
				return err
			}
		}
		value, err := crypto.CheckValue(keys)
		if err != nil {
			return EncryptError(err)
		}
		if absent {
			_, err = buckets.Keys.Create(ctx, keyCheck, []byte(value), 0)
		} else {
			_, err = buckets.Keys.Update(ctx, keyCheck, []byte(value), entry.Revision)
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, kvstore.ErrExists) && !errors.Is(err, kvstore.ErrConflict):
			return DatabaseError("store the check value of the keyset", err)
		}
	}
	return DatabaseError("store the check value of the keyset", kvstore.ErrConflict)
}
