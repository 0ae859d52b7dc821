package webhook

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// CheckSecret refuses, before it is stored, a secret or public key that this
// webhook could never verify with: absent, blank, all zeros, with white space
// around it, or no key of the scheme. The error says what is wrong and nothing
// of the secret.
func (e *Engine) CheckSecret(text secret.Text) error {
	s := text.Reveal()
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("the webhook secret is empty")
	case strings.Trim(s, "0\x00") == "":
		return errors.New("the webhook secret is all zeros")
	case strings.TrimSpace(s) != s && !strings.HasPrefix(s, "-----BEGIN"):
		return errors.New("the webhook secret has white space around it")
	}
	var problem error
	for i := range e.ways {
		err := e.ways[i].checkSecret(text)
		if err == nil {
			return nil
		}
		problem = err
	}
	return problem
}

// CheckSecret is [Engine.CheckSecret] for a webhook that may not be compiled yet.
func CheckSecret(w *webhooks.Descriptor, text secret.Text) error {
	e, err := Compile(w, nil)
	if err != nil {
		return err
	}
	return e.CheckSecret(text)
}

// checkSecret says what keeps the text from being a key of this way.
func (w *way) checkSecret(text secret.Text) error {
	switch w.scheme {
	case webhooks.SchemeHMAC, webhooks.SchemeJWT:
		if _, ok := decodeKey(w.key, text); !ok {
			return fmt.Errorf("the webhook secret is no key in %s%s", cmp.Or(w.key.Encoding, webhooks.EncodingText), afterPrefix(w.key.Prefix))
		}
	case webhooks.SchemeEd25519, webhooks.SchemeECDSA, webhooks.SchemeRSA:
		if w.keyURL != nil {
			return nil
		}
		if _, err := w.publicKey(text); err != nil {
			return fmt.Errorf("the webhook's public key: %w", err)
		}
	}
	return nil
}

func afterPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	return fmt.Sprintf(" after %q", prefix)
}

// decodeKey makes the bytes of a symmetric key. A key without bytes, or of
// zeros only, is none: anybody could sign with it.
func decodeKey(k webhooks.Key, text secret.Text) ([]byte, bool) {
	s := text.Reveal()
	if k.Prefix != "" {
		s = strings.TrimPrefix(s, k.Prefix)
	}
	if k.Encoding == webhooks.EncodingHex {
		s = strings.ToLower(s) // keys are pasted in either case
	}
	key, ok := decode(make([]byte, 0, len(s)), s, k.Encoding)
	if !ok {
		return nil, false
	}
	for _, b := range key {
		if b != 0 {
			return key, true
		}
	}
	return nil, false
}

// smallestRSA is the least modulus, in bits, that is accepted (NIST SP 800-131A).
const smallestRSA = 2048

// publicKey makes the public key of a way from the configured text.
func (w *way) publicKey(text secret.Text) (crypto.PublicKey, error) {
	s := strings.TrimPrefix(text.Reveal(), w.key.Prefix)
	if w.key.Encoding == webhooks.EncodingPEM {
		key, err := parsePEM([]byte(s))
		if err != nil {
			return nil, err
		}
		return key, w.fits(key)
	}
	if w.key.Encoding == webhooks.EncodingHex {
		s = strings.ToLower(s)
	}
	b, ok := decode(nil, s, w.key.Encoding)
	if !ok {
		return nil, fmt.Errorf("not valid %s", w.key.Encoding)
	}
	key, err := parsePublicBytes(b)
	if err != nil {
		return nil, err
	}
	return key, w.fits(key)
}

// parsePublicBytes reads a raw Ed25519 key (RFC 8032), an uncompressed P-256
// point (SEC 1), or a SubjectPublicKeyInfo (RFC 5280).
func parsePublicBytes(b []byte) (crypto.PublicKey, error) {
	switch {
	case len(b) == ed25519.PublicKeySize:
		return ed25519.PublicKey(b), nil
	case len(b) == 65 && b[0] == 4:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
		if err != nil {
			return nil, errors.New("not a point of P-256")
		}
		return key, nil
	}
	key, err := x509.ParsePKIXPublicKey(b)
	if err != nil {
		return nil, errors.New("not a public key")
	}
	return key, nil
}

func parsePEM(text []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("not one PEM block")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return parsePublicBytes(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("not an RSA public key")
		}
		return key, nil
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("not a certificate")
		}
		return cert.PublicKey, nil
	}
	return nil, errors.New("a PEM block that is neither a public key nor a certificate")
}

// fits reports whether the key is one of the scheme, and strong enough.
func (w *way) fits(key crypto.PublicKey) error {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if w.scheme == webhooks.SchemeEd25519 {
			return nil
		}
	case *ecdsa.PublicKey:
		if w.scheme == webhooks.SchemeECDSA && k.Curve == elliptic.P256() {
			return nil
		}
	case *rsa.PublicKey:
		if w.scheme != webhooks.SchemeRSA {
			break
		}
		if k.N.BitLen() < smallestRSA {
			return fmt.Errorf("an RSA key of less than %d bits", smallestRSA)
		}
		return nil
	}
	return fmt.Errorf("not a key of the scheme %q", w.scheme)
}
