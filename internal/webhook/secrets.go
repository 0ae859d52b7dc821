package webhook

import (
	"bytes"
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

// CheckSecret returns an error for a secret or public key by which this webhook
// could never verify: empty, all zeros, with white space around it, or no key of
// the scheme. Call it before the secret is stored. The error does not contain
// the secret.
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
	var lastErr error
	for i := range e.verifiers {
		err := e.verifiers[i].checkSecret(text)
		if err == nil {
			return nil
		}
		lastErr = err
	}
	return lastErr
}

// CheckSecret is [Engine.CheckSecret] for a webhook that is not compiled.
func CheckSecret(d *webhooks.Descriptor, text secret.Text) error {
	e, err := Compile(d, nil)
	if err != nil {
		return err
	}
	return e.CheckSecret(text)
}

// checkSecret returns an error if the text is no key of the scheme.
func (v *verifier) checkSecret(text secret.Text) error {
	switch v.scheme {
	case webhooks.SchemeHMAC, webhooks.SchemeJWT:
		key, ok := decodeKey(v.key, text)
		if !ok {
			return fmt.Errorf("the webhook secret is no key in %s%s", cmp.Or(v.key.Encoding, webhooks.EncodingText), afterPrefix(v.key.Prefix))
		}
		// A text is as long as its provider makes it; an encoded key is made by a generator.
		if encoded := v.key.Encoding != "" && v.key.Encoding != webhooks.EncodingText; encoded && len(key) < minKeyBytes {
			return fmt.Errorf("the webhook secret is a key of %d bytes; anybody could guess one of less than %d", len(key), minKeyBytes)
		}
	case webhooks.SchemeEd25519, webhooks.SchemeECDSA, webhooks.SchemeRSA:
		if v.certificate != nil {
			return nil
		}
		if _, err := v.publicKey(text); err != nil {
			return fmt.Errorf("the webhook's public key: %w", err)
		}
	}
	return nil
}

// minKeyBytes is the length of the shortest symmetric key that is accepted in an encoding: 128
// bits.
const minKeyBytes = 16

func afterPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	return fmt.Sprintf(" after %q", prefix)
}

// decodeKey returns the bytes of a symmetric key. False for a key that is empty
// or all zeros: anybody could sign with it.
func decodeKey(k webhooks.Key, text secret.Text) ([]byte, bool) {
	key, ok := decode(keyText(k, text), k.Encoding)
	if !ok || len(bytes.Trim(key, "\x00")) == 0 {
		return nil, false
	}
	return key, true
}

// keyText returns the text of a key without its prefix, which may be missing.
// Hex is accepted in either case.
func keyText(k webhooks.Key, text secret.Text) string {
	s := strings.TrimPrefix(text.Reveal(), k.Prefix)
	if k.Encoding == webhooks.EncodingHex {
		return strings.ToLower(s)
	}
	return s
}

// minRSA is the smallest accepted modulus, in bits (NIST SP 800-131A).
const minRSA = 2048

// publicKey parses the configured public key, and checks it.
func (v *verifier) publicKey(text secret.Text) (crypto.PublicKey, error) {
	key, err := parsePublicKey(keyText(v.key, text), v.key.Encoding)
	if err != nil {
		return nil, err
	}
	return key, v.checkKey(key)
}

func parsePublicKey(text string, encoding webhooks.Encoding) (crypto.PublicKey, error) {
	if encoding == webhooks.EncodingPEM {
		return parsePEM([]byte(text))
	}
	b, ok := decode(text, encoding)
	if !ok {
		return nil, fmt.Errorf("not valid %s", encoding)
	}
	return parsePublicBytes(b)
}

// parsePublicBytes parses a raw Ed25519 key (RFC 8032), an uncompressed P-256
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

// checkKey returns an error if the key is not one of the scheme, or too weak.
func (v *verifier) checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if v.scheme == webhooks.SchemeEd25519 {
			return nil
		}
	case *ecdsa.PublicKey:
		if v.scheme == webhooks.SchemeECDSA && k.Curve == elliptic.P256() {
			return nil
		}
	case *rsa.PublicKey:
		if v.scheme != webhooks.SchemeRSA {
			break
		}
		if k.N.BitLen() < minRSA {
			return fmt.Errorf("an RSA key of less than %d bits", minRSA)
		}
		return nil
	}
	return fmt.Errorf("not a key of the scheme %q", v.scheme)
}
