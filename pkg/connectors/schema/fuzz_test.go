package schema_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// fuzzSchemas use most keywords; none has defaults.
var fuzzSchemas = []string{
	`{"type":"object","additionalProperties":false,"required":["a"],"properties":{
		"a":{"type":"string","minLength":2,"maxLength":4,"pattern":"^[a-zä]*$"},"b":{"type":["integer","null"],"minimum":-1,"maximum":3},
		"c":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"number","maximum":1.5}},"d":{"enum":["x",1,true,null,1.0,{"y":1}]}}}`,
	`{"type":"object","required":["a","b"],"minProperties":2,"maxProperties":3,"additionalProperties":{"type":"boolean"},"properties":{"a":{"const":"x"}}}`,
	`{"anyOf":[{"type":"string","format":"email"},{"type":"integer","minimum":0},{"type":"array","prefixItems":[{"type":"string"},false],"items":{"const":null}}]}`,
	`{"oneOf":[{"type":"object","properties":{"a":{"$ref":"#"}}},{"type":"null"},{"type":"number"},{"type":"string","minLength":1}]}`,
	`{"oneOf":[{"type":"integer"},{"type":"number","minimum":2}]}`,
	`{"allOf":[{"required":["a"]},{"properties":{"a":{"type":"integer"}}}],"additionalProperties":true}`,
	`{"$defs":{"n":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"additionalProperties":false}},"$ref":"#/$defs/n"}`,
	`{"$ref":"#"}`,
	`{"minimum":0.1,"type":"number"}`,
	`{"type":["integer","string"],"format":"date"}`,
	`{"properties":{"a":false,"b":true},"patternProperties":{"^x":{"type":"string"}}}`,
	`{"properties":{"s":{"type":"string"}},"if":{"required":["s"]},"then":{"required":["t"]}}`,
	`{"uniqueItems":true,"multipleOf":0.5,"contains":{"type":"null"}}`,
	`true`, `false`, `{}`,
}

// FuzzValidate: Validate agrees with the library on every document that is strict JSON.
func FuzzValidate(f *testing.F) {
	var ours []*schema.Schema
	var theirs []*jsonschema.Schema
	for i, doc := range fuzzSchemas {
		ours = append(ours, mustSchema(f, doc))
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
		if err != nil {
			f.Fatal(err)
		}
		if err := c.AddResource("https://fuzz.invalid/", v); err != nil {
			f.Fatal(err)
		}
		theirs = append(theirs, c.MustCompile("https://fuzz.invalid/"))
		f.Add(uint8(i), doc)
	}
	for i := range fuzzSchemas {
		for _, doc := range []string{
			`{"a":"ab","b":null,"c":[1,1.5],"d":"x"}`, `{"a":"x","b":true,"c":false}`, `"a@b.io"`, `["x"]`, `3`, `3.0`, `0.1`, `1e2`,
			`{"a":{"a":null}}`, `{"a":1,"b":2}`, `{"n":{"n":{}}}`, `null`, `"2026-01-01"`, `[null,null]`, `"\u0061\ud83d\ude00"`, `{"\u0061":1,"a":2}`,
			`1.50000000000000000001`, `-0`, `{"d":1.0}`, `{"x1":"y","a":3}`, `{"s":"","t":1}`, `{"a":"aä","d":{"y":1}}`, "\xff", `1e999`, `[[[[`,
		} {
			f.Add(uint8(i), doc)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, doc string) {
		n := int(which) % len(ours)
		out, wrong := ours[n].Validate([]byte(doc))
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
		if err != nil {
			if wrong == nil {
				t.Fatalf("Validate accepts %q, which is not JSON: %v", doc, err)
			}
			return
		}
		if _, strict := (*schema.Schema)(nil).Validate([]byte(doc)); strict != nil {
			if !reflect.DeepEqual(wrong, strict) {
				t.Fatalf("Validate(%q) = %v, want the error of the parser, %v", doc, wrong, strict)
			}
			return
		}
		if err := theirs[n].Validate(value); (err == nil) != (wrong == nil) {
			t.Fatalf("schema %s, document %s: we say %v, the validator says %v", fuzzSchemas[n], doc, wrong, err)
		}
		if wrong != nil || string(out) == strings.Trim(doc, " \t\r\n") {
			return
		}
		// An integer may be written in another way.
		if got, err := jsonschema.UnmarshalJSON(strings.NewReader(string(out))); err != nil || !sameValue(got, value) {
			t.Fatalf("Validate(%q) = %q, want the document itself", doc, out)
		}
	})
}

// sameValue compares decoded documents, numbers by their value.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, _, errX := big.ParseFloat(a.String(), 10, 4096, big.ToZero)
		y, _, errY := big.ParseFloat(b.String(), 10, 4096, big.ToZero)
		return a == b || errX == nil && errY == nil && x.Cmp(y) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	}
	return a == b
}

// FuzzParseSchema: no panic, whatever is compiled works on documents, and it
// marshals as what it was parsed from.
func FuzzParseSchema(f *testing.F) {
	for _, doc := range fuzzSchemas {
		f.Add(doc, doc)
	}
	f.Add(`{"properties":{"a":{"default":{},"properties":{"b":{"default":1}}}}}`, `{}`)
	f.Add(`{"$defs":{"a":{"properties":{"x":{"$ref":"#/$defs/a","default":{}}}}},"$ref":"#/$defs/a"}`, `{}`)
	f.Add(`{"items":{"properties":{"k":{"writeOnly":true}}},"properties":{"k":{"format":"password"}}}`, `[]`)
	f.Add(`{"$id":"https://x.y/z","$anchor":"a","$ref":"#a","$schema":"https://json-schema.org/draft/2020-12/schema"}`, `1`)
	f.Add(`{"$ref":"file:///etc/passwd"}`, `1`)
	f.Fuzz(func(t *testing.T, text, doc string) {
		s, err := schema.Parse([]byte(text))
		if err != nil {
			return
		}
		out, wrong := s.Validate([]byte(doc))
		if wrong == nil {
			if again, wrong := s.Validate(out); wrong != nil || !bytes.Equal(out, again) {
				t.Errorf("schema %s: filling in is not stable: %s, then %s %v", text, out, again, wrong)
			}
		}
		s.Fields()
		s.SecretPaths()
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := schema.Parse(b)
		if err != nil {
			t.Fatalf("%s does not parse again: %v", b, err)
		}
		if c, _ := json.Marshal(again); !bytes.Equal(b, c) {
			t.Errorf("%s parses and marshals as %s", b, c)
		}
	})
}
