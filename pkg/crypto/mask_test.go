package crypto_test

import (
	"errors"
	"testing"

	"github.com/hawser-io/hawser/pkg/crypto"
)

func TestMaskFields(t *testing.T) {
	t.Parallel()
	envelope := mustSeal(t, newKeyring(t), `"sk_live_0123456789"`, "/a")
	tests := []struct {
		name, doc string
		pointers  []string
		want      string
	}{
		{"strings", `{"a":"1234567890abcdefghij","b":"1234567890abcdefghi","c":"shown"}`, []string{"/a", "/b"}, `{"a":"1234***ghij","b":"***","c":"shown"}`},
		{"multibyte characters", `{"a":"äöüßäöüßéäöüßäöüßéßß","b":"äöüßäöüßéäöüßäöüßéß","c":"1"}`, []string{"/a", "/b", "/c"}, `{"a":"äöüß***ßéßß","b":"***","c":"***"}`},
		{"empty, null and absent stay", `{"a":"","b":null}`, []string{"/a", "/b", "/c"}, `{"a":"","b":null}`},
		{"other values", `{"a":123456789,"b":true,"c":{"d":"x"},"e":[1,2]}`, []string{"/a", "/b", "/c", "/e"}, `{"a":"***","b":"***","c":"***","e":"***"}`},
		{"every item", `{"l":[{"t":"1234567890abcdefghij"},{"t":"x"}]}`, []string{"/l/*/t"}, `{"l":[{"t":"1234***ghij"},{"t":"***"}]}`},
		{"escapes count as what they mean", `{"a":"\"\\\u00e9\n567890123456\"\"\"\""}`, []string{"/a"}, `{"a":"\"\\é\n***\"\"\"\""}`},
		{"an envelope", `{"a":"` + envelope + `"}`, []string{"/a"}, `{"a":"***"}`},
		{"order and numbers stay", ` {"z":1.0,"a":"x" , "b":1e400} `, []string{"/a"}, ` {"z":1.0,"a":"***" , "b":1e400} `},
	}
	for _, test := range tests {
		got, err := crypto.MaskFields([]byte(test.doc), test.pointers)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: MaskFields(%s) = %s, %v, want %s", test.name, test.doc, got, err, test.want)
		}
	}
}

func TestMaskFieldsRefusesInvalidInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		doc, pointer string
		want         error
	}{
		{`{"a":`, "/a", crypto.ErrDocument},
		{`{}`, "a", crypto.ErrPointer},
	} {
		out, err := crypto.MaskFields([]byte(test.doc), []string{test.pointer})
		if _, typed := errors.AsType[*crypto.Error](err); !typed || !errors.Is(err, test.want) || out != nil {
			t.Errorf("MaskFields(%s, %s) = %s, %v, want nothing and %v", test.doc, test.pointer, out, err, test.want)
		}
		if errors.Is(err, crypto.ErrOpen) || errors.Is(err, crypto.ErrSeal) {
			t.Errorf("MaskFields(%s, %s): %v is an ErrOpen or ErrSeal", test.doc, test.pointer, err)
		}
	}
}
