package crypto_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/pkg/crypto"
)

func TestEnvelopeOpensOnlyWhereItWasSealed(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	const pointer = "/config/apiKey"
	envelope := mustSeal(t, k, "sk_live_1", pointer)
	tests := []struct {
		name    string
		b       crypto.Binding
		pointer string
		want    error
	}{
		{"its own place", here, pointer, nil},
		{"another tenant", crypto.Binding{Bucket: here.Bucket, Key: "acme.u2.demo-key.default"}, pointer, crypto.ErrTampered},
		{"another bucket", crypto.Binding{Bucket: "hawser-grants", Key: here.Key}, pointer, crypto.ErrTampered},
		{"another field", here, "/config/apiKey2", crypto.ErrTampered},
		{"the whole document", here, "", crypto.ErrTampered},
		{"a letter moved from key to bucket", crypto.Binding{Bucket: here.Bucket + here.Key[:1], Key: here.Key[1:]}, pointer, crypto.ErrTampered},
		{"a letter moved from pointer to key", crypto.Binding{Bucket: here.Bucket, Key: here.Key + pointer[:7]}, pointer[7:], crypto.ErrTampered},
		{"no bucket", crypto.Binding{Key: here.Key}, pointer, crypto.ErrBinding},
		{"no key", crypto.Binding{Bucket: here.Bucket}, pointer, crypto.ErrBinding},
		{"no pointer", here, "config", crypto.ErrPointer},
	}
	for _, test := range tests {
		plain, err := k.Open(envelope, test.b, test.pointer)
		if !errors.Is(err, test.want) {
			t.Errorf("Open at %s: %v, want %v", test.name, err, test.want)
		}
		if err != nil && (plain != nil || !errors.Is(err, crypto.ErrOpen) || errors.Is(err, crypto.ErrSeal)) {
			t.Errorf("Open at %s = %q, %v, want nothing and an ErrOpen", test.name, plain, err)
		}
	}
}

func TestSealRefusesWhatCouldNotBeOpened(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	for _, test := range []struct {
		b       crypto.Binding
		pointer string
		want    error
	}{
		{crypto.Binding{}, "/a", crypto.ErrBinding},
		{here, "a", crypto.ErrPointer},
		{here, "/a~", crypto.ErrPointer},
		{here, "/~2", crypto.ErrPointer},
	} {
		envelope, err := k.Seal([]byte("x"), test.b, test.pointer)
		if envelope != "" || !errors.Is(err, test.want) || !errors.Is(err, crypto.ErrSeal) || errors.Is(err, crypto.ErrOpen) {
			t.Errorf("Seal(%v, %q) = %q, %v, want an ErrSeal: %v", test.b, test.pointer, envelope, err, test.want)
		}
		if _, err := k.SealFields([]byte(`{}`), []string{test.pointer}, test.b); !errors.Is(err, test.want) {
			t.Errorf("SealFields(%v, %q): %v, want %v", test.b, test.pointer, err, test.want)
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	// Three lengths: base64 does not use 0, 2 or 4 bits of the last character.
	for _, plain := range []string{"sk_live_1", "sk_live_12", "sk_live_123"} {
		envelope := mustSeal(t, k, plain, "/a")
		for bit := range 6 * (len(envelope) - len("enc:v1:")) {
			if plain, err := k.Open(flipBit(envelope, bit), here, "/a"); err == nil {
				t.Fatalf("Open of %q with bit %d flipped = %q, want an error", envelope, bit, plain)
			}
		}
	}
}

func TestEveryCutOrLongerEnvelopeIsRefused(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	envelope := mustSeal(t, k, "sk_live_1", "/a")
	for n := range len(envelope) {
		if plain, err := k.Open(envelope[:n], here, "/a"); !errors.Is(err, crypto.ErrOpen) {
			t.Fatalf("Open of the first %d bytes = %q, %v, want ErrOpen", n, plain, err)
		}
	}
	for _, longer := range []string{envelope + "A", envelope + "AAAA", envelope + "=", envelope + "==", envelope + "\n", envelope + " ", " " + envelope, envelope[:20] + "\r\n" + envelope[20:]} {
		if plain, err := k.Open(longer, here, "/a"); !errors.Is(err, crypto.ErrOpen) {
			t.Errorf("Open(%q) = %q, %v, want ErrOpen", longer, plain, err)
		}
	}
}

func TestEnvelopesOfOtherFormsFailClosed(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	envelope := mustSeal(t, k, "sk_live_1", "/a")
	body := strings.TrimPrefix(envelope, "enc:v1:")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	otherPrefix := append([]byte{0x00}, raw[1:]...)
	tests := []struct {
		name, text string
		want       error
	}{
		{"the next version", "enc:v2:" + body, crypto.ErrVersion},
		{"a far version", "enc:v10:" + body, crypto.ErrVersion},
		{"version 01", "enc:v01:" + body, crypto.ErrVersion},
		{"no body", "enc:v1:", crypto.ErrTampered},
		{"upper case", "ENC:V1:" + body, crypto.ErrNotSealed},
		{"no version", "enc:" + body, crypto.ErrNotSealed},
		{"version x", "enc:vx:" + body, crypto.ErrNotSealed},
		{"empty version", "enc:v:" + body, crypto.ErrNotSealed},
		{"plain text", "12:34:56", crypto.ErrNotSealed},
		{"nothing", "", crypto.ErrNotSealed},
		{"padding", "enc:v1:" + base64.URLEncoding.EncodeToString(append(raw, 0)), crypto.ErrTampered},
		{"standard base64", "enc:v1:" + body[:20] + "+/" + body[22:], crypto.ErrTampered},
		{"another prefix of Tink", "enc:v1:" + base64.RawURLEncoding.EncodeToString(otherPrefix), crypto.ErrTampered},
	}
	for _, test := range tests {
		if _, err := k.Open(test.text, here, "/a"); !errors.Is(err, test.want) {
			t.Errorf("Open of %s: %v, want %v", test.name, err, test.want)
		}
		if _, err := crypto.KeyID(test.text); !errors.Is(err, test.want) {
			t.Errorf("KeyID of %s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestUnknownKeyIsNamed(t *testing.T) {
	t.Parallel()
	mine, other := newKeyring(t), newKeyring(t)
	_, err := other.Open(mustSeal(t, mine, "x", "/config/apiKey"), here, "/config/apiKey")
	e, ok := errors.AsType[*crypto.Error](err)
	if !ok || e.KeyID != mine.PrimaryID() || e.Pointer != "/config/apiKey" || e.Op != "open" || !errors.Is(err, crypto.ErrUnknownKey) {
		t.Fatalf("Open = %#v, want an *Error of open, key %d, /config/apiKey, ErrUnknownKey", err, mine.PrimaryID())
	}
	wantPrefix := `open field "/config/apiKey" (key `
	if !strings.HasPrefix(err.Error(), wantPrefix) {
		t.Errorf("message %q, want it to begin with %q", err, wantPrefix)
	}
}

// With the keyset and the format in envelope.go, Tink opens an envelope in any
// language.
func TestTinkAloneOpensAnEnvelope(t *testing.T) {
	t.Parallel()
	text := must(t)(crypto.NewKeyset())
	k := mustParse(t, text)
	if got := k.KeyIDs(); len(got) != 1 || got[0] != k.PrimaryID() {
		t.Errorf("KeyIDs of a new keyset = %v, want the primary %d only", got, k.PrimaryID())
	}
	envelope := mustSeal(t, k, "sk_live_1", "/config/apiKey")

	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text.Reveal())))
	if err != nil {
		t.Fatal(err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		t.Fatal(err)
	}
	var ad []byte
	for _, part := range []string{here.Bucket, here.Key, "/config/apiKey", "v1"} {
		ad = append(binary.BigEndian.AppendUint32(ad, uint32(len(part))), part...)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(envelope, "enc:v1:"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := primitive.Decrypt(raw, ad)
	if err != nil || string(plain) != "sk_live_1" {
		t.Errorf("Tink's Decrypt = %q, %v, want sk_live_1", plain, err)
	}
}

func TestSealedBytesComeBack(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		b := crypto.Binding{Bucket: rapid.StringN(1, -1, -1).Draw(t, "bucket"), Key: rapid.StringN(1, -1, -1).Draw(t, "key")}
		pointer := strings.NewReplacer("~", "~0").Replace("/" + rapid.String().Draw(t, "pointer"))
		envelope, err := k.Seal(plain, b, pointer)
		if err != nil {
			t.Fatal(err)
		}
		again, err := k.Seal(plain, b, pointer)
		if err != nil || again == envelope {
			t.Fatalf("Seal returns %q twice (%v)", again, err)
		}
		got, err := k.Open(envelope, b, pointer)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open(Seal(%q)) = %q, %v", plain, got, err)
		}
	})
}
