package webhook

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// algorithm is a hash function.
type algorithm struct {
	new  func() hash.Hash
	size int // of a digest, in bytes
	hash crypto.Hash
}

var algorithms = map[webhooks.Algorithm]algorithm{
	webhooks.SHA1:   {sha1.New, sha1.Size, crypto.SHA1},
	webhooks.SHA256: {sha256.New, sha256.Size, crypto.SHA256},
	webhooks.SHA512: {sha512.New, sha512.Size, crypto.SHA512},
}

// verifyDigest compares the candidates with the HMAC by each secret, or with the
// plain hash of a text that contains the secret.
func (v *verifier) verifyDigest(in *input, candidates []string, secrets []secret.Text) (int, error) {
	var digests [][]byte
	for _, candidate := range candidates {
		if digest, ok := decodeBounded(candidate, v.encoding, v.algorithm.size); ok && len(digest) == v.algorithm.size {
			digests = append(digests, digest)
		}
	}
	if len(digests) == 0 {
		return -1, v.reject(ReasonMalformedSignature)
	}
	defer func() { in.secret = "" }()
	return v.trySecrets(secrets, func(text secret.Text) *Rejection {
		h := v.algorithm.new()
		if v.scheme == webhooks.SchemeHMAC {
			key, ok := decodeKey(v.key, text)
			if !ok {
				return v.reject(ReasonBadSecret)
			}
			h = hmac.New(v.algorithm.new, key)
		} else {
			in.secret = text.Reveal()
		}
		if !v.signed.writeTo(h, in) {
			return v.reject(ReasonMissingContent)
		}
		sum := h.Sum(nil)
		for _, digest := range digests {
			if hmac.Equal(digest, sum) {
				return nil
			}
		}
		return v.reject(ReasonBadSignature)
	})
}
