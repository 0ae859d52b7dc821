package webhook_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// byPublicKey verifies a base64 signature over the body.
func byPublicKey(scheme webhooks.Scheme, encoding webhooks.Encoding) *webhooks.Descriptor {
	w := plain()
	w.Verify[0] = webhooks.Verification{
		Scheme: scheme, Encoding: webhooks.EncodingBase64, Signature: webhooks.Source{From: "header.X-Signature"},
		Signed: "{body}", Key: webhooks.Key{Encoding: encoding},
	}
	if scheme != webhooks.SchemeEd25519 {
		w.Verify[0].Algorithm = webhooks.SHA256
	}
	return w
}

// keyPair is a public key in every encoding, and signatures of "b".
type keyPair struct {
	scheme webhooks.Scheme
	public map[webhooks.Encoding]string
	sign   func(message string) []byte
}

func spki(t *testing.T, public crypto.PublicKey) map[webhooks.Encoding]string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return map[webhooks.Encoding]string{
		webhooks.EncodingBase64: base64.StdEncoding.EncodeToString(der),
		webhooks.EncodingHex:    hex.EncodeToString(der),
		webhooks.EncodingPEM:    string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}
}

func keyPairs(t *testing.T) []keyPair {
	t.Helper()
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := rsaKeys()["k1"]
	return []keyPair{
		{scheme: webhooks.SchemeEd25519, public: spki(t, edPublic), sign: func(m string) []byte { return ed25519.Sign(edPrivate, []byte(m)) }},
		{scheme: webhooks.SchemeECDSA, public: spki(t, &ec.PublicKey), sign: es256(t, ec)},
		{scheme: webhooks.SchemeRSA, public: spki(t, &r.PublicKey), sign: rs256(t, r)},
	}
}

func es256(t *testing.T, private *ecdsa.PrivateKey) func(string) []byte {
	return func(message string) []byte {
		digest := sha256.Sum256([]byte(message))
		signature, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
}

// certificate returns a certificate of the key, valid for ten days around now.
func certificate(tb testing.TB, private *rsa.PrivateKey) []byte {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestPublicKeySignatures(t *testing.T) {
	t.Parallel()
	for _, pair := range keyPairs(t) {
		good := base64.StdEncoding.EncodeToString(pair.sign("b"))
		for encoding, public := range pair.public {
			e := mustCompile(t, byPublicKey(pair.scheme, encoding))
			if err := e.CheckSecret(secret.New(public)); err != nil {
				t.Errorf("%s %s: CheckSecret: %v", pair.scheme, encoding, err)
			}
			for name, tc := range map[string]struct {
				signature, body string
				want            webhook.Reason
			}{
				"right":       {good, "b", ""},
				"other body":  {good, "c", webhook.ReasonBadSignature},
				"other bytes": {base64.StdEncoding.EncodeToString(pair.sign("c")), "b", webhook.ReasonBadSignature},
				"empty":       {"", "b", webhook.ReasonMissingSignature},
				"zeros":       {base64.StdEncoding.EncodeToString(make([]byte, 64)), "b", webhook.ReasonBadSignature},
				"one byte":    {"AA==", "b", webhook.ReasonBadSignature},
				"no base64":   {good[:len(good)-1] + "!", "b", webhook.ReasonMalformedSignature},
				"megabyte":    {strings.Repeat("A", 1<<20), "b", webhook.ReasonMalformedSignature},
			} {
				assertReason(t, fmt.Sprintf("%s %s, %s", pair.scheme, encoding, name), reason(t, e, request("X-Signature", tc.signature, tc.body), public), tc.want)
			}
		}
	}
}

func TestKeysOfAnotherKindAreRefused(t *testing.T) {
	t.Parallel()
	pairs := keyPairs(t)
	for i, pair := range pairs {
		other := pairs[(i+1)%len(pairs)]
		e := mustCompile(t, byPublicKey(pair.scheme, webhooks.EncodingPEM))
		if err := e.CheckSecret(secret.New(other.public[webhooks.EncodingPEM])); err == nil {
			t.Errorf("%s accepts a key of %s", pair.scheme, other.scheme)
		}
		r := request("X-Signature", base64.StdEncoding.EncodeToString(other.sign("b")), "b")
		assertReason(t, fmt.Sprintf("%s with a key of %s", pair.scheme, other.scheme), reason(t, e, r, other.public[webhooks.EncodingPEM]), webhook.ReasonBadSecret)
		assertReason(t, fmt.Sprintf("%s with a usable key after nonsense", pair.scheme), reason(t, e, r, "nonsense", pair.public[webhooks.EncodingPEM]), webhook.ReasonBadSignature)
	}
	weak := spki(t, &rsaKeys()["weak"].PublicKey)[webhooks.EncodingPEM]
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for scheme, public := range map[webhooks.Scheme]string{
		webhooks.SchemeRSA: weak, webhooks.SchemeECDSA: spki(t, &p384.PublicKey)[webhooks.EncodingPEM],
	} {
		if err := mustCompile(t, byPublicKey(scheme, webhooks.EncodingPEM)).CheckSecret(secret.New(public)); err == nil {
			t.Errorf("%s accepts a key that is too weak or of another curve", scheme)
		}
	}
}

func TestRawPublicKeys(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := mustCompile(t, byPublicKey(webhooks.SchemeEd25519, webhooks.EncodingHex))
	r := request("X-Signature", base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte("b"))), "b")
	for _, text := range []string{hex.EncodeToString(public), strings.ToUpper(hex.EncodeToString(public))} {
		assertReason(t, "raw Ed25519 key", reason(t, e, r, text), "")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	e = mustCompile(t, byPublicKey(webhooks.SchemeECDSA, webhooks.EncodingBase64))
	r = request("X-Signature", base64.StdEncoding.EncodeToString(es256(t, ec)("b")), "b")
	assertReason(t, "raw P-256 point", reason(t, e, r, base64.StdEncoding.EncodeToString(point)), "")
	point[64] ^= 1
	if err := e.CheckSecret(secret.New(base64.StdEncoding.EncodeToString(point))); err == nil {
		t.Error("a point that is not on the curve is accepted")
	}
}

func TestPublicKeysInPEM(t *testing.T) {
	t.Parallel()
	private := rsaKeys()["k1"]
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	e := mustCompile(t, byPublicKey(webhooks.SchemeRSA, webhooks.EncodingPEM))
	public := block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey))
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"PKCS #1":           {public, true},
		"certificate":       {block("CERTIFICATE", certificate(t, private)), true},
		"private key":       {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)), false},
		"two blocks":        {public + public, false},
		"text after":        {public + "x", false},
		"no block":          {"-----BEGIN nonsense", false},
		"other bytes":       {block("PUBLIC KEY", []byte("x")), false},
		"other PKCS #1":     {block("RSA PUBLIC KEY", []byte("x")), false},
		"other certificate": {block("CERTIFICATE", []byte("x")), false},
	} {
		err := e.CheckSecret(secret.New(tc.text))
		if (err == nil) != tc.ok {
			t.Errorf("%s: CheckSecret = %v, want ok = %v", name, err, tc.ok)
		}
	}
}
