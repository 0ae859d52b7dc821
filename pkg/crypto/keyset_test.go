package crypto_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

func keysetText(primary int, keys ...string) string {
	return fmt.Sprintf(`{"primaryKeyId":%d,"key":[%s]}`, primary, strings.Join(keys, ","))
}

// gcmKey returns Tink's JSON of an AES-GCM key whose bytes are all "k".
func gcmKey(id, size int, outputPrefix, status string) string {
	value := append([]byte{0x1a, byte(size)}, strings.Repeat("k", size)...) // protobuf: field 3, bytes
	return fmt.Sprintf(`{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","value":%q,"keyMaterialType":"SYMMETRIC"},"status":%q,"keyId":%d,"outputPrefixType":%q}`,
		base64.StdEncoding.EncodeToString(value), status, id, outputPrefix)
}

func TestParseKeysetRefusesOtherKeysets(t *testing.T) {
	t.Parallel()
	good := gcmKey(7, 32, "TINK", "ENABLED")
	hmacKey := strings.ReplaceAll(good, "AesGcmKey", "HmacKey")
	tests := []struct {
		name, text string
		want       error  // nil = accepted
		part       string // of the error
	}{
		{"one good key", keysetText(7, good), nil, ""},
		{"white space around", "\n " + keysetText(7, good) + "\n", nil, ""},
		{"a disabled second key", keysetText(7, good, gcmKey(8, 32, "TINK", "DISABLED")), nil, ""},
		{"empty", "", crypto.ErrNoKeyset, "empty"},
		{"white space", " \n", crypto.ErrNoKeyset, "empty"},
		{"not JSON", "hunter2", crypto.ErrKeyset, "Tink keyset"},
		{"no keys", `{"primaryKeyId":7,"key":[]}`, crypto.ErrKeyset, "Tink keyset"},
		{"wrapped by a KMS", `{"encryptedKeyset":"AAAA"}`, crypto.ErrKeyset, "cleartext"},
		{"primary not there", keysetText(9, good), crypto.ErrKeyset, "primary"},
		{"primary disabled", keysetText(7, gcmKey(7, 32, "TINK", "DISABLED")), crypto.ErrKeyset, "enabled primary"},
		{"one id twice", keysetText(7, good, good), crypto.ErrKeyset, ""},
		{"128 bits", keysetText(7, gcmKey(7, 16, "TINK", "ENABLED")), crypto.ErrKeyset, "key 7: it has to have 32 bytes"},
		{"second key of 128 bits", keysetText(7, good, gcmKey(8, 16, "TINK", "ENABLED")), crypto.ErrKeyset, "key 8"},
		{"no key id in ciphertexts", keysetText(7, gcmKey(7, 32, "RAW", "ENABLED")), crypto.ErrKeyset, "prefix TINK"},
		{"prefix CRUNCHY", keysetText(7, gcmKey(7, 32, "CRUNCHY", "ENABLED")), crypto.ErrKeyset, "prefix TINK"},
		{"another primitive", keysetText(7, hmacKey), crypto.ErrKeyset, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k, err := crypto.ParseKeyset(secret.New(test.text))
			if !errors.Is(err, test.want) || (k == nil) != (err != nil) {
				t.Fatalf("ParseKeyset = %v, %v, want error %v", k, err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.part) {
				t.Errorf("ParseKeyset: %q, want it to contain %q", err, test.part)
			}
			if k != nil && !cmp.Equal(k.KeyIDs(), []uint32{7}) {
				t.Errorf("KeyIDs() = %v, want [7]", k.KeyIDs())
			}
		})
	}
}

func TestKeyringPrintsIDsOnly(t *testing.T) {
	t.Parallel()
	k := mustParse(t, secret.New(keysetText(7, gcmKey(7, 32, "TINK", "ENABLED"))))
	if got, want := k.String(), "keyring (primary 7, keys [7])"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	holder := struct{ Keys, keys *crypto.Keyring }{k, k}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "k", k, "h", holder)
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		printed += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, holder)
	}
	for _, bytes := range []string{"kkkk", "a2tra2", "6b6b", "107 107", "0x6b, 0x6b"} {
		if strings.Contains(printed, bytes) {
			t.Errorf("printing a keyring shows key bytes (%q): %s", bytes, printed)
		}
	}
}

func TestSealsCountsPerKey(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	mustSeal(t, k, "a", "/a")
	mustSealFields(t, k, `{"a":1,"b":2,"c":null}`, "/a", "/b", "/c", "/d")
	if got, want := k.Seals(), (map[uint32]uint64{k.PrimaryID(): 3}); !cmp.Equal(got, want) {
		t.Errorf("Seals() = %v, want %v", got, want)
	}
}
