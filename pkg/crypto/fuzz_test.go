package crypto_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hawser-io/hawser/pkg/crypto"
)

// seeds calls add with the golden vectors.
func seeds(f *testing.F, add func(v vector)) {
	f.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		add(readVector(f, file))
	}
}

// Text that is accepted as an envelope is the only encoding of its ciphertext.
func FuzzEnvelope(f *testing.F) {
	for _, text := range []string{"", "enc:", "enc:v1:", "enc:v2:AAAA", "enc:v1:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"} {
		f.Add(text)
	}
	seeds(f, func(v vector) { f.Add(v.Sealed) })
	k := newKeyring(f)
	f.Fuzz(func(t *testing.T, text string) {
		id, err := crypto.KeyID(text)
		if plain, openErr := k.Open(text, here, "/a"); openErr == nil {
			t.Fatalf("Open(%q) = %q with a fresh key", text, plain)
		}
		if err != nil {
			return
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "enc:v1:"))
		if err != nil {
			t.Fatalf("KeyID(%q) = %d, although it is not base64url: %v", text, id, err)
		}
		if again := "enc:v1:" + base64.RawURLEncoding.EncodeToString(raw); again != text {
			t.Fatalf("%q encodes again as %q", text, again)
		}
	})
}

// The document is accepted if and only if encoding/json accepts it and it is
// UTF-8; what opens is JSON; what was sealed comes back.
func FuzzOpenFields(f *testing.F) {
	for _, doc := range []string{``, `{}`, `{"a":null}`, `{"a":"x","l":[1,[2]]}`, `{"a":-0.1e+9}`, `"\ud83d\ude00"`, "\ufeff{}", `[1,]`, `{"a":01}`} {
		f.Add([]byte(doc), "/a", "/l/*")
	}
	seeds(f, func(v vector) { f.Add([]byte(v.Sealed), v.Pointer, "/config/apiKey") })
	k := goldenKeyring(f)
	f.Fuzz(func(t *testing.T, doc []byte, pointer, second string) {
		pointers := []string{pointer, second}
		if out, err := k.OpenFields(doc, pointers, here); err == nil && !json.Valid(out) {
			t.Fatalf("OpenFields(%q, %q) = %q, which is not JSON", doc, pointers, out)
		}
		_, err := crypto.MaskFields(doc, nil)
		if got, want := err == nil, json.Valid(doc) && utf8.Valid(doc); got != want {
			t.Fatalf("%q is accepted: %v (%v), want %v", doc, got, err, want)
		}
		sealed, err := k.SealFields(doc, pointers, here)
		if err != nil {
			return
		}
		opened, err := k.OpenFields(sealed, pointers, here)
		if err != nil || string(opened) != string(doc) {
			t.Fatalf("OpenFields(SealFields(%q, %q)) = %q, %v", doc, pointers, opened, err)
		}
	})
}

// A pointer that is accepted leads to its value: each of its tokens, decoded by
// RFC 6901, is the name of a member.
func FuzzPointer(f *testing.F) {
	for _, pointer := range []string{"", "/", "//", "/a", "/a/b", "/a~1b/~0", "/~", "/~2", "a", "/*/0", "/ü", "/~01"} {
		f.Add(pointer)
	}
	f.Fuzz(func(t *testing.T, pointer string) {
		if !utf8.ValidString(pointer) {
			return
		}
		doc := "1"
		tokens := strings.Split(pointer, "/")
		for i := len(tokens) - 1; i > 0; i-- {
			doc = "{" + quote(strings.NewReplacer("~1", "/", "~0", "~").Replace(tokens[i])) + ":" + doc + "}"
		}
		out, err := crypto.MaskFields([]byte(doc), []string{pointer})
		valid := tokens[0] == "" && !strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(pointer), "~")
		if (err == nil) != valid {
			t.Fatalf("pointer %q is accepted: %v, want %v", pointer, err == nil, valid)
		}
		if want := strings.TrimSuffix(doc, "1"+strings.Repeat("}", len(tokens)-1)) + `"***"` + strings.Repeat("}", len(tokens)-1); valid && string(out) != want {
			t.Fatalf("MaskFields(%s, %q) = %s, want %s", doc, pointer, out, want)
		}
	})
}
