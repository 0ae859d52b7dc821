package webhook

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// maxSignature is the length of a signature by an RSA key of 8192 bits, in bytes.
const maxSignature = 1024

// verifyPublicKey verifies the candidates with each configured public key, or
// with that of the certificate which the request names.
func (v *verifier) verifyPublicKey(ctx context.Context, in *input, candidates []string, secrets []secret.Text) (int, error) {
	var signatures [][]byte
	for _, candidate := range candidates {
		if signature, ok := decodeBounded(candidate, v.encoding, maxSignature); ok {
			signatures = append(signatures, signature)
		}
	}
	if len(signatures) == 0 {
		return -1, v.reject(ReasonMalformedSignature)
	}
	message, ok := v.message(in)
	if !ok {
		return -1, v.reject(ReasonMissingContent)
	}
	if v.certificate != nil {
		key, err := v.certificateKey(ctx, in)
		if err != nil {
			return -1, err
		}
		if !v.anyValid(key, message, signatures) {
			return -1, v.reject(ReasonBadSignature)
		}
		return -1, nil
	}
	return v.trySecrets(secrets, func(text secret.Text) *Rejection {
		key, err := v.publicKey(text)
		if err != nil {
			return v.reject(ReasonBadSecret)
		}
		if !v.anyValid(key, message, signatures) {
			return v.reject(ReasonBadSignature)
		}
		return nil
	})
}

// message returns what is signed: the digest, or for Ed25519, which hashes by
// itself, the whole text.
func (v *verifier) message(in *input) ([]byte, bool) {
	if v.scheme == webhooks.SchemeEd25519 {
		var text bytes.Buffer
		ok := v.signed.writeTo(&text, in)
		return text.Bytes(), ok
	}
	h := v.algorithm.new()
	ok := v.signed.writeTo(h, in)
	return h.Sum(nil), ok
}

func (v *verifier) anyValid(key crypto.PublicKey, message []byte, signatures [][]byte) bool {
	for _, signature := range signatures {
		if v.isValid(key, message, signature) {
			return true
		}
	}
	return false
}

func (v *verifier) isValid(key crypto.PublicKey, message, signature []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, v.algorithm.hash, message, signature) == nil
	}
	return false
}

// certificateKey fetches the certificate that the request names, if its address
// is one of the provider's.
func (v *verifier) certificateKey(ctx context.Context, in *input) (crypto.PublicKey, error) {
	address, ok := in.single(*v.certificate)
	if !ok {
		return nil, v.reject(ReasonMissingContent)
	}
	if !matchesAny(v.certificates, address) {
		return nil, v.reject(ReasonBadKeyAddress)
	}
	key, err := in.engine.keys.certificate(ctx, address)
	switch {
	case errors.Is(err, errNoKey), err == nil && v.checkKey(key) != nil:
		return nil, v.reject(ReasonBadKeyAddress)
	case err != nil:
		return nil, err
	}
	return key, nil
}

func compilePatterns(texts []string) []webhooks.URLPattern {
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
