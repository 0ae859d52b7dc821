package webhook

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// maxKeysInSet bounds the keys of one key set; further ones are ignored.
const maxKeysInSet = 64

// parseJWKS returns the RSA signing keys of a JSON Web Key Set (RFC 7517).
// Keys of other types, and weak ones, are skipped, as section 5 asks.
func parseJWKS(body []byte, now time.Time) (*keySet, error) {
	var document struct {
		Keys []struct {
			Type string `json:"kty"`
			ID   string `json:"kid"`
			Use  string `json:"use"`
			N    string `json:"n"`
			E    string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("%w: the answer is not a key set", ErrKeysUnavailable)
	}
	set := &keySet{byID: map[string]*rsa.PublicKey{}, fetched: now}
	for _, k := range document.Keys {
		if k.Type != "RSA" || k.Use != "" && k.Use != "sig" || len(set.byID) >= maxKeysInSet {
			continue
		}
		if key, ok := rsaFromNumbers(k.N, k.E); ok {
			set.byID[k.ID] = key
		}
	}
	if len(set.byID) == 0 {
		return nil, fmt.Errorf("%w: the key set has no usable key", ErrKeysUnavailable)
	}
	return set, nil
}

// rsaFromNumbers returns the key with that base64url modulus and exponent (RFC
// 7518, 6.3.1).
func rsaFromNumbers(modulus, exponent string) (*rsa.PublicKey, bool) {
	n, ok1 := decode(modulus, webhooks.EncodingBase64URL)
	e, ok2 := decode(exponent, webhooks.EncodingBase64URL)
	if !ok1 || !ok2 || len(n) > maxSignature || len(e) == 0 || len(e) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if key.N.BitLen() < minRSA || key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1 {
		return nil, false
	}
	return key, true
}

// parseCertificate returns the public key of a PEM certificate. Its chain is not
// verified: TLS authenticates the server, and the descriptor allows its address.
func parseCertificate(body []byte, now time.Time) (*keySet, error) {
	block, _ := pem.Decode(body)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errNoKey
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, errNoKey
	}
	return &keySet{certificate: cert.PublicKey, fetched: now}, nil
}
