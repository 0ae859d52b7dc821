package records

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// SigningKey returns the 256-bit key with which every process signs OAuth states and reconnect
// links, so that a forged one is refused without a look-up. The first call creates it. It is
// stored sealed, and sealed again when the primary key has changed.
func SigningKey(ctx context.Context, buckets Buckets, sealer *Sealer) (secret.Text, error) {
	const name = "signing"
	bucket, at := buckets.Keys, sealer.binding(bucketKeys, name)
	for range kvstore.Attempts(ctx) {
		e, err := latest(ctx, bucket, name)
		if err == nil {
			key, err := sealer.openText(at, "", string(e.Value))
			if id, unknown := crypto.KeyID(string(e.Value)); err == nil && unknown == nil && id != sealer.keys.PrimaryID() {
				if sealed, err := sealer.sealText(at, "", key); err == nil {
					_, _ = bucket.Update(ctx, name, []byte(sealed), e.Revision) // the next start tries again
				}
			}
			return key, err
		}
		if !errors.Is(err, kvstore.ErrNotFound) {
			return secret.Text{}, DatabaseError("read the signing key", err)
		}
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails
		sealed, err := sealer.sealText(at, "", secret.New(base64.RawStdEncoding.EncodeToString(b[:])))
		if err != nil {
			return secret.Text{}, err
		}
		if _, err := bucket.Create(ctx, name, []byte(sealed), 0); err != nil && !errors.Is(err, kvstore.ErrExists) {
			return secret.Text{}, DatabaseError("store the signing key", err)
		}
	}
	return secret.Text{}, DatabaseError("store the signing key", kvstore.ErrConflict)
}
