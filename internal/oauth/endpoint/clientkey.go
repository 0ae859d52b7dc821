package endpoint

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"

	"github.com/go-jose/go-jose/v4"

	"github.com/hawser-io/hawser/pkg/secret"
)

// errNoKey is the error of a client secret that is not a private key. It quotes nothing,
// since the text is a secret all the same.
var errNoKey = errors.New("the client secret is no private key: PEM (PKCS #8, PKCS #1, SEC 1) without a passphrase, or a JWK")

// clientKey is a private key that an app has as its client secret.
type clientKey struct {
	key       crypto.Signer
	id        string // kid of a JWK
	algorithm string // alg of a JWK
	chain     [][]byte
}

// readKey reads a private key: a JWK, or PEM, which may hold certificates too.
func readKey(text secret.Text) (clientKey, error) {
	data := bytes.TrimSpace([]byte(text.Reveal()))
	read := readPEM
	if bytes.HasPrefix(data, []byte("{")) {
		read = readJWK
	}
	if k := read(data); k.key != nil && k.isPair() && k.hasCertificate() {
		return k, nil
	}
	return clientKey{}, errNoKey
}

// readPEM and readJWK return the key and the certificates of a text, unchecked. The key
// is nil where there is none.
func readPEM(data []byte) (k clientKey) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return k
		}
		data = rest
		if block.Type == "CERTIFICATE" {
			k.chain = append(k.chain, block.Bytes)
			continue
		}
		if key := privateKey(block.Bytes); key != nil && k.key == nil {
			k.key = key
		}
	}
}

func readJWK(data []byte) (k clientKey) {
	var read jose.JSONWebKey
	if json.Unmarshal(data, &read) != nil || !read.Valid() || read.IsPublic() {
		return clientKey{}
	}
	k.id, k.algorithm = read.KeyID, read.Algorithm
	k.key, _ = read.Key.(crypto.Signer)
	if key, ok := k.key.(*rsa.PrivateKey); ok {
		key.Precompute() // as the parsers of PEM do: concurrent use needs it
	}
	for _, certificate := range read.Certificates {
		k.chain = append(k.chain, certificate.Raw)
	}
	return k
}

// privateKey reads a key in any of the three forms; nil if it is none of them. PEM labels
// are ignored, because they are often wrong.
func privateKey(der []byte) crypto.Signer {
	if any, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key, _ := any.(crypto.Signer)
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

// isPair reports whether the private key belongs to the public key. A JWK states both, and
// could state any public key.
func (k clientKey) isPair() bool {
	proof := []byte("hawser: a key that signs")
	sum := sha256.Sum256(proof)
	switch public := k.key.Public().(type) {
	case *rsa.PublicKey:
		signed, err := k.key.Sign(rand.Reader, sum[:], crypto.SHA256)
		return err == nil && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signed) == nil
	case *ecdsa.PublicKey:
		signed, err := k.key.Sign(rand.Reader, sum[:], crypto.SHA256)
		return err == nil && ecdsa.VerifyASN1(public, sum[:], signed)
	case ed25519.PublicKey:
		signed, err := k.key.Sign(rand.Reader, proof, crypto.Hash(0))
		return err == nil && ed25519.Verify(public, proof, signed)
	}
	return false
}

// hasCertificate reports whether the first certificate, if there is one, is that of the
// key.
func (k clientKey) hasCertificate() bool {
	if len(k.chain) == 0 {
		return true
	}
	leaf, err := x509.ParseCertificate(k.chain[0])
	if err != nil {
		return false
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(k.key.Public())
}

// signatureAlgorithm returns the algorithm of the key, or wanted if it is set.
func (k clientKey) signatureAlgorithm(wanted string) jose.SignatureAlgorithm {
	switch {
	case wanted != "":
		return jose.SignatureAlgorithm(wanted)
	case k.algorithm != "":
		return jose.SignatureAlgorithm(k.algorithm)
	}
	switch key := k.key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256
	case ed25519.PrivateKey:
		return jose.EdDSA
	case *ecdsa.PrivateKey:
		return map[int]jose.SignatureAlgorithm{256: jose.ES256, 384: jose.ES384, 521: jose.ES512}[key.Curve.Params().BitSize]
	}
	return ""
}

// thumbprint returns the x5t#S256 by which some servers find the key; "" without a
// certificate.
func (k clientKey) thumbprint() string {
	if len(k.chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(k.chain[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
