package crypto_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/crypto"
)

// shape replaces every envelope of a sealed document by "#".
func shape(doc string) string {
	for {
		at := strings.Index(doc, `"enc:v1:`)
		if at < 0 {
			return doc
		}
		end := at + 1 + strings.IndexByte(doc[at+1:], '"')
		doc = doc[:at] + "#" + doc[end+1:]
	}
}

func TestSealFieldsSealsOnlyTheValuesAtThePointers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, doc string
		pointers  []string
		want      string // # = an envelope
	}{
		{"a string", `{"a":"x","b":"y"}`, []string{"/a"}, `{"a":#,"b":"y"}`},
		{"order, spaces and numbers stay", " {\"z\" : 1.0e+2 ,\t\"a\":\"x\",\n\"b\":12345678901234567890} ", []string{"/a"}, " {\"z\" : 1.0e+2 ,\t\"a\":#,\n\"b\":12345678901234567890} "},
		{"every kind of value", `{"a":"","b":-0.0,"c":true,"d":{"e":[1]},"f":[]}`, []string{"/a", "/b", "/c", "/d", "/f"}, `{"a":#,"b":#,"c":#,"d":#,"f":#}`},
		{"null and absent stay", `{"a":null}`, []string{"/a", "/b", "/a/b"}, `{"a":null}`},
		{"nested", `{"a":{"b":{"c":"x"}}}`, []string{"/a/b/c"}, `{"a":{"b":{"c":#}}}`},
		{"item by index", `{"a":["x","y","z"]}`, []string{"/a/1"}, `{"a":["x",#,"z"]}`},
		{"no item has such an index", `["x"]`, []string{"/00", "/-", "/1", "/", "/+0"}, `["x"]`},
		{"a member that looks like an index", `{"0":"x"}`, []string{"/0"}, `{"0":#}`},
		{"every item", `{"a":[{"t":"x"},{"t":"y"},{"u":"z"}]}`, []string{"/a/*/t"}, `{"a":[{"t":#},{"t":#},{"u":"z"}]}`},
		{"every member", `{"h":{"X-Key":"x","Y":"y","Z":null}}`, []string{"/h/*"}, `{"h":{"X-Key":#,"Y":#,"Z":null}}`},
		{"every item of every item", `[["x"],[],["y","z"]]`, []string{"/*/*"}, `[[#],[],[#,#]]`},
		{"a member called *", `{"*":"x","a":"y"}`, []string{"/*"}, `{"*":#,"a":#}`},
		{"escaped tokens", `{"a/b":{"c~d":"x","c~1d":"y"}}`, []string{"/a~1b/c~0d"}, `{"a/b":{"c~d":#,"c~1d":"y"}}`},
		{"escaped names", `{"\u0061\/b":"x"}`, []string{"/a~1b"}, `{"\u0061\/b":#}`},
		{"the empty name", `{"":"x"}`, []string{"/"}, `{"":#}`},
		{"the empty name twice", `{"":{"":"x"}}`, []string{"//"}, `{"":{"":#}}`},
		{"the document", ` {"a":"x"} `, []string{""}, ` # `},
		{"a document that is a string", `"x"`, []string{""}, `#`},
		{"a null document", `null`, []string{""}, `null`},
		{"the outer of two", `{"a":{"b":"x"}}`, []string{"/a/b", "/a"}, `{"a":#}`},
		{"one pointer twice, and by *", `{"a":"x"}`, []string{"/a", "/a", "/*"}, `{"a":#}`},
		{"two pointers through one member", `{"a":{"b":"x","c":"y","d":"z"}}`, []string{"/a/b", "/a/c"}, `{"a":{"b":#,"c":#,"d":"z"}}`},
		{"a name twice", `{"a":"x","a":"y"}`, []string{"/a"}, `{"a":#,"a":#}`},
		{"names match exactly", `{"A":"x"," a":"y","aa":"z"}`, []string{"/a"}, `{"A":"x"," a":"y","aa":"z"}`},
		{"nothing to seal", `{"a":"x"}`, nil, `{"a":"x"}`},
		{"more pointers than most", `{"a":1,"j":2}`, []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j"}, `{"a":#,"j":#}`},
	}
	k := newKeyring(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sealed := mustSealFields(t, k, test.doc, test.pointers...)
			if got := shape(sealed); got != test.want {
				t.Errorf("SealFields(%s, %q) = %s, want %s", test.doc, test.pointers, got, test.want)
			}
			if got := mustOpenFields(t, k, sealed, test.pointers...); got != test.doc {
				t.Errorf("OpenFields = %s, want %s", got, test.doc)
			}
		})
	}
}

func TestTextThatLooksLikeAnEnvelopeIsSealed(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	once := mustSealFields(t, k, `{"a":"x"}`, "/a")
	for _, doc := range []string{once, `{"a":"enc:v1:AAAA"}`, `{"a":"enc:v2:"}`, `{"a":"12:34:56"}`, `{"a":""}`} {
		sealed := mustSealFields(t, k, doc, "/a")
		if sealed == doc {
			t.Errorf("SealFields did not change %s", doc)
		}
		if got := mustOpenFields(t, k, sealed, "/a"); got != doc {
			t.Errorf("OpenFields = %s, want %s", got, doc)
		}
	}
}

func TestFieldsAndSingleValuesAreOneFormat(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	doc := `{"a/b":[` + `"` + mustSeal(t, k, `"x"`, "/a~1b/0") + `"]}`
	if got := mustOpenFields(t, k, doc, "/a~1b/*"); got != `{"a/b":["x"]}` {
		t.Errorf("OpenFields of a value that Seal has sealed = %s", got)
	}
	var sealed map[string][]string
	if err := json.Unmarshal([]byte(mustSealFields(t, k, `{"a/b":["x"]}`, "/*/0")), &sealed); err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(sealed["a/b"][0], here, "/a~1b/0"); err != nil || string(plain) != `"x"` {
		t.Errorf(`Open of a field that SealFields has sealed = %s, %v, want "x"`, plain, err)
	}
}

func TestOpenFieldsFailsClosed(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	a, b := mustSeal(t, k, `"x"`, "/a"), mustSeal(t, k, `"y"`, "/b")
	notJSON, trailing := mustSeal(t, k, `x"`, "/a"), mustSeal(t, k, `"x" `, "/a")
	notUTF8, twoValues := mustSeal(t, k, "\"\xff\"", "/a"), mustSeal(t, k, `"x","b":1`, "/a")
	tests := []struct {
		name, doc string
		pointers  []string
		want      error
		pointer   string // of the *Error
	}{
		{"plaintext", `{"a":"x"}`, []string{"/a"}, crypto.ErrNotSealed, "/a"},
		{"the empty string", `{"a":""}`, []string{"/a"}, crypto.ErrNotSealed, "/a"},
		{"a number", `{"a":1}`, []string{"/a"}, crypto.ErrNotSealed, "/a"},
		{"an object", `{"a":{}}`, []string{"/a"}, crypto.ErrNotSealed, "/a"},
		{"a later field", `{"a":"` + a + `","b":"x"}`, []string{"/a", "/b"}, crypto.ErrNotSealed, "/b"},
		{"an item", `{"l":[null,"x"]}`, []string{"/l/*"}, crypto.ErrNotSealed, "/l/1"},
		{"two fields swapped", `{"a":"` + b + `","b":"` + a + `"}`, []string{"/a", "/b"}, crypto.ErrTampered, "/a"},
		{"an unknown version", `{"a":"enc:v9:AAAA"}`, []string{"/a"}, crypto.ErrVersion, "/a"},
		{"a cut envelope", `{"a":"` + a[:len(a)-2] + `"}`, []string{"/a"}, crypto.ErrTampered, "/a"},
		{"no JSON sealed", `{"a":"` + notJSON + `"}`, []string{"/a"}, crypto.ErrNotJSON, "/a"},
		{"a value with spaces sealed", `{"a":"` + trailing + `"}`, []string{"/a"}, crypto.ErrNotJSON, "/a"},
		{"no UTF-8 sealed", `{"a":"` + notUTF8 + `"}`, []string{"/a"}, crypto.ErrNotJSON, "/a"},
		{"more than a value sealed", `{"a":"` + twoValues + `"}`, []string{"/a"}, crypto.ErrNotJSON, "/a"},
		{"no JSON", `{"a":"` + a + `"`, []string{"/a"}, crypto.ErrDocument, ""},
		{"no JSON behind", `{"a":"` + a + `"}x`, []string{"/a"}, crypto.ErrDocument, ""},
		{"empty", ``, []string{"/a"}, crypto.ErrDocument, ""},
		{"no UTF-8", "{\"a\":\"" + a + "\",\"b\":\"\xff\"}", []string{"/a"}, crypto.ErrDocument, ""},
		{"a bad pointer", `{}`, []string{"/ok", "a"}, crypto.ErrPointer, ""},
	}
	for _, test := range tests {
		out, err := k.OpenFields([]byte(test.doc), test.pointers, here)
		e, ok := errors.AsType[*crypto.Error](err)
		if !ok || !errors.Is(err, test.want) || !errors.Is(err, crypto.ErrOpen) || e.Pointer != test.pointer || out != nil {
			t.Errorf("OpenFields of %s = %s, %v, want nothing and an ErrOpen at %q: %v", test.name, out, err, test.pointer, test.want)
		}
	}
	if _, err := k.OpenFields([]byte(`{}`), nil, crypto.Binding{}); !errors.Is(err, crypto.ErrBinding) {
		t.Errorf("OpenFields without a binding: %v, want ErrBinding", err)
	}
}

func TestADocumentOfAnotherRecordDoesNotOpen(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := mustSealFields(t, k, `{"a":"x"}`, "/a")
	for _, b := range []crypto.Binding{{Bucket: here.Bucket, Key: here.Key + "x"}, {Bucket: "hawser-grants", Key: here.Key}} {
		if out, err := k.OpenFields([]byte(sealed), []string{"/a"}, b); !errors.Is(err, crypto.ErrTampered) || out != nil {
			t.Errorf("OpenFields at %v = %s, %v, want ErrTampered", b, out, err)
		}
	}
}

func TestAnEnvelopeWrittenWithEscapesOpens(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := mustSealFields(t, k, `{"a":"x"}`, "/a")
	escaped := strings.Replace(sealed, "enc:", `\u0065nc\u003a`, 1)
	if got := mustOpenFields(t, k, escaped, "/a"); got != `{"a":"x"}` {
		t.Errorf("OpenFields(%s) = %s", escaped, got)
	}
}

func TestFieldsDoNotShareMemoryWithTheirDocument(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	doc := []byte(`{"a":"x","b":"y"}`)
	out, err := k.SealFields(doc, nil, here)
	if err != nil {
		t.Fatal(err)
	}
	clear(doc)
	if got, want := string(out), `{"a":"x","b":"y"}`; got != want {
		t.Errorf("after the input was cleared the output is %q, want %q", got, want)
	}
}

func TestFieldKeyIDsListsEachKeyOnce(t *testing.T) {
	t.Parallel()
	k := goldenKeyring(t)
	sealed := mustSealFields(t, k, `{"a":"x","b":"y","c":null}`, "/a", "/b")
	got, err := crypto.FieldKeyIDs([]byte(sealed), []string{"/*"})
	if want := []uint32{k.PrimaryID()}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("FieldKeyIDs = %v, %v, want %v", got, err, want)
	}
	if got, err := crypto.FieldKeyIDs([]byte(`{}`), []string{"/a"}); err != nil || len(got) != 0 {
		t.Errorf("FieldKeyIDs of no envelopes = %v, %v, want none", got, err)
	}
}
