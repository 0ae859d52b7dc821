package webhook

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// longestSignature is that of an RSA key of 8192 bits.
const longestSignature = 1024

// checkPublicKey verifies the candidates with each configured public key, or
// with the one of the certificate that the request names.
func (w *way) checkPublicKey(ctx context.Context, v *view, candidates []string, secrets []secret.Text) (int, error) {
	var signatures [][]byte
	for _, candidate := range candidates {
		if signature, ok := decodeSized(nil, candidate, w.encoding, longestSignature); ok {
			signatures = append(signatures, signature)
		}
	}
	if len(signatures) == 0 {
		return -1, w.reject(ReasonMalformedSignature)
	}
	message, ok := w.message(v)
	if !ok {
		return -1, w.reject(ReasonMissingContent)
	}
	if w.keyURL != nil {
		key, err := w.certificateKey(ctx, v)
		if err != nil {
			return -1, err
		}
		return -1, w.verifyAny(key, message, signatures)
	}
	rejection := w.reject(ReasonNoSecret)
	for index, text := range secrets {
		if text.IsZero() {
			continue
		}
		key, err := w.publicKey(text)
		if err != nil {
			if rejection.Reason == ReasonNoSecret {
				rejection = w.reject(ReasonBadSecret)
			}
			continue
		}
		failure := w.verifyAny(key, message, signatures)
		if failure == nil {
			return index, nil
		}
		rejection = w.reject(ReasonBadSignature)
	}
	return -1, rejection
}

// message is what the signature is over: the digest, or for Ed25519, which
// hashes by itself, the whole text.
func (w *way) message(v *view) ([]byte, bool) {
	if w.scheme == webhooks.SchemeEd25519 {
		var out sink
		ok := w.signed.write(&out, v)
		return out.buffer, ok
	}
	h := w.algorithm.new()
	out := sink{hash: h}
	if !w.signed.write(&out, v) {
		return nil, false
	}
	out.flush()
	return h.Sum(nil), true
}

func (w *way) verifyAny(key crypto.PublicKey, message []byte, signatures [][]byte) error {
	for _, signature := range signatures {
		if w.holds(key, message, signature) {
			return nil
		}
	}
	return w.reject(ReasonBadSignature)
}

func (w *way) holds(key crypto.PublicKey, message, signature []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, w.algorithm.hash, message, signature) == nil
	}
	return false
}

// certificateKey fetches the certificate that the request names, if it is one
// of the provider's addresses.
func (w *way) certificateKey(ctx context.Context, v *view) (crypto.PublicKey, error) {
	address, ok := v.single(*w.keyURL)
	if !ok {
		return nil, w.reject(ReasonMissingContent)
	}
	if !matchesAny(w.addresses, address) {
		return nil, w.reject(ReasonBadKeyAddress)
	}
	key, err := v.engine.keys.certificate(ctx, address)
	switch {
	case errors.Is(err, errBadKeys):
		return nil, w.reject(ReasonBadKeyAddress)
	case err != nil:
		return nil, err
	case w.fits(key) != nil:
		return nil, w.reject(ReasonBadKeyAddress)
	}
	return key, nil
}

func compileAddresses(texts []string) []webhooks.URLPattern {
	var patterns []webhooks.URLPattern
	for _, text := range texts {
		p, _ := webhooks.ParseURLPattern(text)
		patterns = append(patterns, p)
	}
	return patterns
}

func matchesAny(patterns []webhooks.URLPattern, address string) bool {
	for _, p := range patterns {
		if p.Match(address) {
			return true
		}
	}
	return false
}
