package webhook

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// algorithm is a hash function.
type algorithm struct {
	new  func() hash.Hash
	size int
	hash crypto.Hash
}

var algorithms = map[webhooks.Algorithm]algorithm{
	webhooks.SHA1:   {sha1.New, sha1.Size, crypto.SHA1},
	webhooks.SHA256: {sha256.New, sha256.Size, crypto.SHA256},
	webhooks.SHA512: {sha512.New, sha512.Size, crypto.SHA512},
}

// scratch is the memory of one comparison of digests.
type scratch struct {
	decoded [maxCandidates][sha512.Size]byte
	sum     [sha512.Size]byte
	small   [256]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// checkHMAC compares the candidates with the HMAC by each secret.
func (w *way) checkHMAC(v *view, candidates []string, secrets []secret.Text) (int, error) {
	return w.compareDigests(v, candidates, secrets, func(text secret.Text) (hash.Hash, bool) {
		key, ok := decodeKey(w.key, text)
		if !ok {
			return nil, false
		}
		return hmac.New(w.algorithm.new, key), true
	})
}

// checkDigest compares the candidates with the plain hash of a string that has
// each secret in it.
func (w *way) checkDigest(v *view, candidates []string, secrets []secret.Text) (int, error) {
	defer func() { v.secret = "" }()
	return w.compareDigests(v, candidates, secrets, func(text secret.Text) (hash.Hash, bool) {
		v.secret = text.Reveal()
		return w.algorithm.new(), true
	})
}

func (w *way) compareDigests(v *view, candidates []string, secrets []secret.Text, start func(secret.Text) (hash.Hash, bool)) (int, error) {
	s := scratches.Get().(*scratch)
	defer func() {
		clear(s.small[:]) // a plain digest's input holds the secret
		scratches.Put(s)
	}()
	n := 0
	for _, candidate := range candidates {
		got, ok := decodeSized(s.decoded[n][:0], candidate, w.encoding, w.algorithm.size)
		if ok && len(got) == w.algorithm.size {
			n++
		}
	}
	if n == 0 {
		return -1, w.reject(ReasonMalformedSignature)
	}
	reason := ReasonNoSecret
	for index, text := range secrets {
		if text.IsZero() {
			continue
		}
		h, ok := start(text)
		if !ok {
			if reason == ReasonNoSecret {
				reason = ReasonBadSecret
			}
			continue
		}
		out := sink{hash: h, buffer: s.small[:0]}
		if !w.signed.write(&out, v) {
			return -1, w.reject(ReasonMissingContent)
		}
		out.flush()
		sum := h.Sum(s.sum[:0])
		for i := range n {
			if hmac.Equal(s.decoded[i][:w.algorithm.size], sum) {
				return index, nil
			}
		}
		reason = ReasonBadSignature
	}
	return -1, w.reject(reason)
}

// decodeSized refuses by length before it decodes, so that no input makes us
// decode more than a digest.
func decodeSized(dst []byte, text string, e webhooks.Encoding, size int) ([]byte, bool) {
	if len(text) > 2*size {
		return nil, false
	}
	return decode(dst, text, e)
}
