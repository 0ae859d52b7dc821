package crypto_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// here is the binding of most tests.
var here = crypto.Binding{Bucket: "hawser-connections", Key: "acme.u1.demo-key.default"}

// fataler has the common methods of *testing.T, *testing.B, *testing.F and *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

var _, _ fataler = (*testing.T)(nil), (*rapid.T)(nil)

func newKeyring(t fataler) *crypto.Keyring {
	t.Helper()
	return mustParse(t, must(t)(crypto.NewKeyset()))
}

func mustParse(t fataler, text secret.Text) *crypto.Keyring {
	t.Helper()
	k, err := crypto.ParseKeyset(text)
	if err != nil {
		t.Fatalf("ParseKeyset: %v", err)
	}
	return k
}

func must(t fataler) func(secret.Text, error) secret.Text {
	return func(text secret.Text, err error) secret.Text {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// goldenKeyring returns the keys of testdata/keyset.json.
func goldenKeyring(t fataler) *crypto.Keyring {
	t.Helper()
	text, err := os.ReadFile("testdata/keyset.json")
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, secret.New(string(text)))
}

func mustSeal(t fataler, k *crypto.Keyring, plain, pointer string) string {
	t.Helper()
	envelope, err := k.Seal([]byte(plain), here, pointer)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return envelope
}

func mustSealFields(t fataler, k *crypto.Keyring, doc string, pointers ...string) string {
	t.Helper()
	sealed, err := k.SealFields([]byte(doc), pointers, here)
	if err != nil {
		t.Fatalf("SealFields(%s, %q): %v", doc, pointers, err)
	}
	if !json.Valid(sealed) {
		t.Fatalf("SealFields(%s, %q) = %s, which is not JSON", doc, pointers, sealed)
	}
	return string(sealed)
}

func mustOpenFields(t fataler, k *crypto.Keyring, doc string, pointers ...string) string {
	t.Helper()
	opened, err := k.OpenFields([]byte(doc), pointers, here)
	if err != nil {
		t.Fatalf("OpenFields(%s, %q): %v", doc, pointers, err)
	}
	return string(opened)
}

// flipBit flips one bit of the base64 part of an envelope.
func flipBit(envelope string, bit int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := len("enc:v1:") + bit/6
	value := strings.IndexByte(alphabet, envelope[at]) ^ 1<<(5-bit%6)
	return envelope[:at] + string(alphabet[value]) + envelope[at+1:]
}
