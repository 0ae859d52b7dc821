package crypto_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestCheckValueProvesTheKeyset(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	value, err := crypto.CheckValue(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := crypto.VerifyCheckValue(k, value); err != nil {
		t.Errorf("the right keyset: %v", err)
	}
	rotated := mustParse(t, must(t)(k.Rotate()))
	if err := crypto.VerifyCheckValue(rotated, value); err != nil {
		t.Errorf("the keyset after a rotation: %v", err)
	}
}

func TestErrorsOfAWrongKeysetAreInstructions(t *testing.T) {
	t.Parallel()
	k, other := newKeyring(t), newKeyring(t)
	value, err := crypto.CheckValue(k)
	if err != nil {
		t.Fatal(err)
	}
	// Another key under the same id.
	text := keysetText(int(k.PrimaryID()), gcmKey(int(k.PrimaryID()), 32, "TINK", "ENABLED"))
	sameID := mustParse(t, secret.New(text))
	field := mustSeal(t, k, "x", "/a")
	tests := []struct {
		name    string
		keyring *crypto.Keyring
		value   string
		parts   []string // of the error
	}{
		{"another keyset", other, value, []string{fmt.Sprint(k.PrimaryID()), fmt.Sprint(other.PrimaryID()), "keyset.json", "HAWSER_KEYSET", "backup"}},
		{"another key of the same id", sameID, value, []string{fmt.Sprint(k.PrimaryID()), "not the one that sealed", "backup"}},
		{"a newer format", k, "enc:v2:" + value[7:], []string{"upgrade"}},
		{"a damaged value", k, value[:20], []string{"damaged", "backup of the store"}},
		{"no value", k, "", []string{"damaged"}},
		{"the envelope of a field", k, field, []string{"not the one that sealed"}},
	}
	for _, test := range tests {
		err := crypto.VerifyCheckValue(test.keyring, test.value)
		if !errors.Is(err, crypto.ErrWrongKeyset) {
			t.Errorf("%s: %v, want ErrWrongKeyset", test.name, err)
			continue
		}
		for _, part := range test.parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q, want it to contain %q", test.name, err, part)
			}
		}
	}
}
