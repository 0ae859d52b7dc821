package crypto_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/pkg/crypto"
)

// document is generated JSON text and the pointers of its values.
type document struct {
	text     strings.Builder
	pointers []string // of all values, concrete
}

func (d *document) space(t *rapid.T) {
	d.text.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n  "}).Draw(t, "space"))
}

// value writes a random value with that pointer.
func (d *document) value(t *rapid.T, pointer string, depth int) {
	d.pointers = append(d.pointers, pointer)
	kinds := 3
	if depth < 4 {
		kinds = 5
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		d.text.WriteString(rapid.SampledFrom([]string{
			"0", "-0", "1.0", "1e400", "-12.50E-3", "12345678901234567890", "0.1000", "true", "false", "null",
		}).Draw(t, "word"))
	case 1:
		d.text.WriteString(rapid.SampledFrom([]string{
			`""`, `"12:34:56"`, `"enc:v1:"`, `"enc:v1:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`, `"enc:v2:x"`,
			`"\u0000\ud83d\ude00\/\"\\"`, `"\ud800"`, `"<&>\u2028"`, `"*"`, `"null"`,
		}).Draw(t, "string"))
	case 2:
		d.text.WriteString(quote(rapid.String().Draw(t, "text")))
	case 3:
		d.object(t, pointer, depth)
	default:
		d.array(t, pointer, depth)
	}
}

func (d *document) object(t *rapid.T, pointer string, depth int) {
	names := rapid.SliceOfNDistinct(rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "A", "b", "*", "0", "-", "a/b", "~", "~1", `q"\`, "ü", "\n"}),
		rapid.String(),
	), 0, 4, rapid.ID[string]).Draw(t, "names")
	d.text.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			d.text.WriteByte(',')
		}
		d.space(t)
		d.member(t, pointer, name, depth)
		d.space(t)
	}
	d.text.WriteByte('}')
}

func (d *document) member(t *rapid.T, pointer, name string, depth int) {
	d.text.WriteString(rapid.SampledFrom([]func(string) string{quote, escape}).Draw(t, "quoting")(name))
	d.space(t)
	d.text.WriteByte(':')
	d.space(t)
	d.value(t, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), depth+1)
}

func (d *document) array(t *rapid.T, pointer string, depth int) {
	d.text.WriteByte('[')
	for i := range rapid.IntRange(0, 3).Draw(t, "items") {
		if i > 0 {
			d.text.WriteByte(',')
		}
		d.space(t)
		d.value(t, fmt.Sprintf("%s/%d", pointer, i), depth+1)
		d.space(t)
	}
	d.text.WriteByte(']')
}

// escape writes a JSON string of \u escapes only.
func escape(s string) string {
	var text strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&text, `\u%04x`, unit)
	}
	return `"` + text.String() + `"`
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// drawPointers returns pointers of the document with some tokens replaced by "*".
func (d *document) drawPointers(t *rapid.T) []string {
	pointers := rapid.SliceOfN(rapid.SampledFrom(d.pointers), 0, 5).Draw(t, "pointers")
	for i, pointer := range pointers {
		tokens := strings.Split(pointer, "/")
		for n := range tokens[1:] {
			if rapid.IntRange(0, 3).Draw(t, "wild") == 0 {
				tokens[n+1] = "*"
			}
		}
		pointers[i] = strings.Join(tokens, "/")
	}
	return append(pointers, "/absent/*/x")
}

func TestOpenFieldsUndoesSealFieldsByteForByte(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	rapid.Check(t, func(t *rapid.T) {
		var d document
		d.space(t)
		d.value(t, "", 0)
		d.space(t)
		doc, pointers := d.text.String(), d.drawPointers(t)
		sealed := mustSealFields(t, k, doc, pointers...)
		if got := mustOpenFields(t, k, sealed, pointers...); got != doc {
			t.Fatalf("pointers %q: got %q, want %q", pointers, got, doc)
		}
		masked, err := crypto.MaskFields([]byte(doc), pointers)
		if err != nil || !json.Valid(masked) {
			t.Fatalf("MaskFields(%s, %q) = %s, %v", doc, pointers, masked, err)
		}
	})
}

// The expected value is found by decoding the document and following the pointer.
func TestSealFieldsFindsWhatADecoderFinds(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	rapid.Check(t, func(t *rapid.T) {
		var d document
		d.value(t, "", 0)
		doc, pointer := d.text.String(), rapid.SampledFrom(d.pointers).Draw(t, "pointer")
		if strings.Contains(pointer+"/", "/*/") {
			return // in the document a name, for SealFields every name
		}
		before, after := decode(t, doc), decode(t, mustSealFields(t, k, doc, pointer))
		want, got := follow(before, pointer), follow(after, pointer)
		if want == nil {
			if diff := cmp.Diff(before, after); diff != "" {
				t.Fatalf("SealFields(%s, %q) changes what is null:\n%s", doc, pointer, diff)
			}
			return
		}
		envelope, ok := got.(string)
		if !ok {
			t.Fatalf("SealFields(%s, %q) writes %v", doc, pointer, got)
		}
		plain, err := k.Open(envelope, here, pointer)
		if err != nil {
			t.Fatalf("Open of what SealFields(%s, %q) has sealed: %v", doc, pointer, err)
		}
		if diff := cmp.Diff(want, decode(t, string(plain))); diff != "" {
			t.Fatalf("SealFields(%s, %q) seals something else:\n%s", doc, pointer, diff)
		}
	})
}

func decode(t *rapid.T, doc string) (v any) {
	decoder := json.NewDecoder(strings.NewReader(doc))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return v
}

func follow(v any, pointer string) any {
	for _, token := range strings.Split(pointer, "/")[1:] {
		switch present := v.(type) {
		case map[string]any:
			v = present[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
		case []any:
			index, err := strconv.Atoi(token)
			if err != nil {
				return nil
			}
			v = present[index]
		}
	}
	return v
}
