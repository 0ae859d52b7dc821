package jsondoc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

func TestDecodeKeepsValuesAndDigits(t *testing.T) {
	t.Parallel()
	text := ` {"s":"a\u00e9\ud83d\ude00","n":12345678901234567890.10,"z":-0.0,"b":[true,false,null],"o":{"":{}}} `
	want := map[string]any{
		"s": "aé😀", "n": json.Number("12345678901234567890.10"), "z": json.Number("-0.0"),
		"b": []any{true, false, nil}, "o": map[string]any{"": map[string]any{}},
	}
	got, err := jsondoc.Decode([]byte(text))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Decode(%s): %v, -want +got:\n%s", text, err, diff)
	}
}

func TestDecodeRefusesWhatReadersCouldUnderstandDifferently(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"a name twice", `{"a":[1,{"b":"x","\u0062":2}]}`, "/a/1/b: occurs twice"},
		{"invalid UTF-8", "\"\xff\"", "is not valid UTF-8"},
		{"an unpaired surrogate", `{"a":"\ud800"}`, "/a: is not valid JSON: unexpected text at byte 6"},
		{"a number beyond float64", `{"a/b":1e999}`, "/a~1b: is a number out of range"},
		{"a long exponent", `[0e0000]`, "/0: is a number out of range"},
		{"a long number", strings.Repeat("1", 129), "is a number out of range"},
		{"too deep", strings.Repeat("[", 201), strings.Repeat("/0", 200) + ": is nested deeper than 200 levels"},
		{"a byte order mark", "\ufeff1", "is not valid JSON: unexpected text at byte 0"},
		{"nothing", ` `, "is not valid JSON: it ends too early, at byte 0"},
		{"a text that is cut off", `{"a":[1`, "/a: is not valid JSON: it ends too early, at byte 7"},
		{"two values", `{} canary`, "is not valid JSON: something follows the value, at byte 2"},
		{"an unknown word", `[canary]`, "/0: is not valid JSON: unexpected text at byte 1"},
	}
	for _, test := range tests {
		got, err := jsondoc.Decode([]byte(test.text))
		if _, ok := errors.AsType[*jsondoc.Error](err); !ok || err.Error() != test.want || got != nil {
			t.Errorf("Decode of %s = %v, %q, want nothing and %q", test.name, got, err, test.want)
		}
	}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	if _, err := jsondoc.Decode([]byte(deep)); err != nil {
		t.Errorf("Decode of 200 nested arrays: %v", err)
	}
}

func TestTrimBOMRemovesOneLeadingMark(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"\ufeff{}": "{}", "{}": "{}", "\ufeff\ufeff1": "\ufeff1", "": ""} {
		if got := jsondoc.TrimBOM([]byte(text)); string(got) != want {
			t.Errorf("TrimBOM(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFindReturnsTextAndOffset(t *testing.T) {
	t.Parallel()
	text := ` {"a" : [1, {"b":"x\n"}, "y"],"a/b":"z","n":1.0,"twice":1,"twice":[ ]} `
	tests := []struct{ path, raw string }{
		{"", strings.TrimSpace(text)},
		{"a 1 b", `"x\n"`}, {"a 2", `"y"`}, {"a/b", `"z"`}, {"n", `1.0`}, {"twice", `[ ]`},
		{"a 01", ""}, {"a -1", ""}, {"a 3", ""}, {"a b", ""}, {"n x", ""}, {"none", ""}, {"none x", ""},
	}
	doc, err := jsondoc.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		found := doc.Find(strings.Fields(test.path)...)
		if string(found.Raw) != test.raw || text[found.Offset:found.Offset+len(found.Raw)] != test.raw {
			t.Errorf("Find(%s) = %s at %d, want %s", test.path, found.Raw, found.Offset, test.raw)
		}
	}
	if got := doc.Find("a", "1", "b").Unquote() + doc.Find("n").Unquote(); got != "x\n" {
		t.Errorf("Unquote gives %q, want %q", got, "x\n")
	}
}

func TestParseAcceptsWhatEncodingJSONAccepts(t *testing.T) {
	t.Parallel()
	texts := []string{
		`0`, `-0`, `-`, `01`, `1.`, `.5`, `1.5`, `1e`, `1e+`, `1E-07`, `1e5.`, `+1`, `--1`, `0x1`, `1 2`, `NaN`, `1e999`,
		`true`, `tru`, `trueish`, `nul`, `null`, `False`,
		`""`, `"`, `"\`, `"\u12"`, `"\u12g4"`, `"\uABcd"`, `"\ud800"`, `"\x"`, `"\/\b\\"`, "\"\t\"", "\"\x7f\"", "\"\xff\"", `'a'`,
		`[]`, `[`, `[,]`, `[1,]`, `[1 2]`, `[1`, `[ ]`, `[1 , 2 ]`, `]`,
		`{}`, `{`, `{,}`, `{"a"}`, `{"a":}`, `{"a" : 1 }`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{a:1}`, `{1:2}`, `{"a":1`, `{"a"`, `{"a":1]`,
		``, ` `, "\v1", "\f1", "1\x00", "\u00a01", "\r\n\t 1", "\ufeff1",
	}
	for _, depth := range []int{9999, 10000, 10001, 200000} {
		texts = append(texts, strings.Repeat("[", depth)+strings.Repeat("]", depth), strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth))
	}
	for _, text := range texts {
		for _, text := range []string{text, `{"a":` + text + `}`, `[` + text + `]`} {
			_, err := jsondoc.Parse([]byte(text))
			if want := json.Valid([]byte(text)); (err == nil) != want {
				t.Errorf("Parse(%.40q) of %d bytes: %v, want valid = %v", text, len(text), err, want)
			}
		}
	}
}

// Parse accepts what encoding/json accepts, Decode less. Both return the values
// that it returns.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{``, `{"a":[1,"x",null],"b":{}}`, `{"a":1,"a":2}`, `"\ud800"`, "\"\xff\"", `1e999`, "\ufeff1", `[1,]`, ` -0.5e+1 `} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, parseErr := jsondoc.Parse(text)
		if valid := json.Valid(text); (parseErr == nil) != valid {
			t.Fatalf("Parse(%q): %v, but json.Valid is %v", text, parseErr, valid)
		}
		got, err := jsondoc.Decode(text)
		if err != nil {
			return
		}
		var want any
		reader := json.NewDecoder(bytes.NewReader(text))
		reader.UseNumber()
		if err := reader.Decode(&want); err != nil || !utf8.Valid(text) {
			t.Fatalf("Decode accepts %q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Decode(%q), -encoding/json +got:\n%s", text, diff)
		}
		if again, err := jsondoc.Decode(value.Raw); err != nil || !cmp.Equal(again, got) {
			t.Fatalf("Decode(%q) = %v, %v, want %v", value.Raw, again, err, got)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(`{"items":[` + strings.Repeat(`{"name":"value","n":1234,"on":true},`, 30) + `{}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsondoc.Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}
