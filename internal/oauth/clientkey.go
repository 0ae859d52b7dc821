package oauth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"

	"github.com/go-jose/go-jose/v4"

	"github.com/hawser-io/hawser/pkg/secret"
)

// errNoKey is all that is said of a client secret that is no private key: what stands
// there is a secret all the same.
var errNoKey = errors.New("the client secret is no private key: PEM (PKCS #8, PKCS #1, SEC 1) without a passphrase, or a JWK")

// clientKey is a private key as an app has it in the place of its client secret.
type clientKey struct {
	key       crypto.Signer
	id        string // kid of a JWK
	algorithm string // alg of a JWK
	chain     [][]byte
}

// readKey reads a private key: a JWK, or PEM, in which certificates may lie beside it.
func readKey(text secret.Text) (clientKey, error) {
	data := bytes.TrimSpace([]byte(text.Reveal()))
	if bytes.HasPrefix(data, []byte("{")) {
		return readJWK(data)
	}
	var k clientKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
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
	if k.key == nil || !k.matches() {
		return clientKey{}, errNoKey
	}
	return k, nil
}

func readJWK(data []byte) (clientKey, error) {
	var k jose.JSONWebKey
	if json.Unmarshal(data, &k) != nil || !k.Valid() || k.IsPublic() {
		return clientKey{}, errNoKey
	}
	key, ok := k.Key.(crypto.Signer)
	if !ok {
		return clientKey{}, errNoKey
	}
	read := clientKey{key: key, id: k.KeyID, algorithm: k.Algorithm}
	for _, certificate := range k.Certificates {
		read.chain = append(read.chain, certificate.Raw)
	}
	return read, nil
}

// privateKey reads any of the three forms; nil if it is none of them. Their labels are
// often wrong, their contents are not.
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

// matches reports whether the first certificate, if there is one, is that of the key.
func (k clientKey) matches() bool {
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

// signs is the algorithm of the key, unless one is wanted.
func (k clientKey) signs(wanted string) jose.SignatureAlgorithm {
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

// thumbprint is the x5t#S256 by which some servers find the key; "" without a
// certificate.
func (k clientKey) thumbprint() string {
	if len(k.chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(k.chain[0])
	return encoding.EncodeToString(sum[:])
}
