package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

func mustSchema(t testing.TB, doc string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(doc))
	if err != nil {
		t.Fatalf("ParseSchema(%s): %v", doc, err)
	}
	return s
}

func errorsOf(pairs ...string) []schema.FieldError {
	var all []schema.FieldError
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, schema.FieldError{Path: pairs[i], Message: pairs[i+1]})
	}
	return all
}

func TestValidateReportsEveryErrorWithItsPath(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, `{
		"type":"object","additionalProperties":false,"required":["name","mail"],
		"properties":{
			"name":{"type":"string","minLength":1},
			"mail":{"type":"string","format":"email"},
			"age":{"type":"integer","minimum":0,"maximum":150},
			"tags":{"type":"array","maxItems":2,"uniqueItems":true,"items":{"type":"string","pattern":"^[a-z]+$"}},
			"proxy":{"type":"object","required":["host"],"properties":{"host":{"type":"string"},"port":{"type":"integer"}}},
			"mode":{"enum":["fast","slow",3,null]}
		}}`)
	tests := []struct {
		name, doc string
		want      []schema.FieldError
	}{
		{"valid", `{"name":"a","mail":"a@b.io","age":3.0,"tags":["x"],"proxy":{"host":"h"},"mode":3}`, nil},
		{"missing", `{}`, errorsOf("mail", "is required", "name", "is required")},
		{"wrong type of the document", `[]`, errorsOf("", "must be an object")},
		{"many", `{"name":"","mail":"nobody","age":-1,"tags":["a","B","a"],"proxy":{"port":1.5},"mode":"warp","nmae":"x"}`, errorsOf(
			"age", "must be at least 0",
			"mail", "must be a valid email",
			"mode", `must be one of "fast", "slow", 3, null`,
			"name", "must not be empty",
			"nmae", "is not a known field",
			"proxy.host", "is required",
			"proxy.port", "must be an integer",
			"tags", "must have at most 2 items",
			"tags", "must not have the same item twice",
			"tags.1", "must match the pattern ^[a-z]+$",
		)},
		{"other type", `{"name":7,"mail":"a@b.io","age":"x"}`, errorsOf("age", "must be an integer", "name", "must be a string")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got := s.Validate([]byte(tt.doc))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Validate(%s) (-want +got):\n%s", tt.doc, diff)
			}
		})
	}
}

func TestValidateSupportsEveryKeyword(t *testing.T) {
	t.Parallel()
	tests := []struct{ schema, good, bad, path, message string }{
		{`{"const":"x"}`, `"x"`, `"y"`, "", `must be "x"`},
		{`{"const":{"a":1}}`, `{"a":1.0}`, `{"a":2}`, "", "is not one of the allowed values"},
		{`{"type":["string","null"]}`, `null`, `1`, "", "must be null or a string"},
		{`{"type":"boolean"}`, `true`, `"true"`, "", "must be a boolean"},
		{`{"type":"number"}`, `-1.5e3`, `"1"`, "", "must be a number"},
		{`{"type":"integer"}`, `10e1`, `0.5`, "", "must be an integer"},
		{`{"minLength":3}`, `"äöü"`, `"äö"`, "", "must have at least 3 characters"},
		{`{"maxLength":1}`, `"\u00e4"`, `"ab"`, "", "must have at most 1 character"},
		{`{"maximum":1.5}`, `1.5`, `1.50000000000000000001`, "", "must be at most 1.5"},
		{`{"minimum":0.1}`, `0.1`, `0.09`, "", "must be at least 0.1"},
		{`{"exclusiveMinimum":0}`, `0.1`, `0`, "", "must be greater than 0"},
		{`{"exclusiveMaximum":10}`, `9`, `10`, "", "must be less than 10"},
		{`{"multipleOf":0.1}`, `0.3`, `0.35`, "", "must be a multiple of 0.1"},
		{`{"minItems":1}`, `[1]`, `[]`, "", "must have at least 1 item"},
		{`{"contains":{"const":1}}`, `[2,1]`, `[2]`, "", "does not have the items that it must contain"},
		{`{"contains":{"const":1},"maxContains":1}`, `[2,1]`, `[1,1]`, "", "has more than 1 items of a kind"},
		{`{"minProperties":1}`, `{"a":1}`, `{}`, "", "must have at least 1 member"},
		{`{"maxProperties":1}`, `{"a":1}`, `{"a":1,"b":2}`, "", "must have at most 1 member"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"b":1}`, `{"a":1}`, "b", "is required beside a"},
		{`{"propertyNames":{"maxLength":2}}`, `{"ab":1}`, `{"abc":1}`, "abc", "is not an allowed name"},
		{`{"patternProperties":{"^x-":{"type":"string"}}}`, `{"x-a":"1","y":2}`, `{"x-a":1}`, "x-a", "must be a string"},
		{`{"additionalProperties":{"type":"string"}}`, `{"a":"1"}`, `{"a":1}`, "a", "must be a string"},
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, `["a",1]`, `["a","b"]`, "1", "must be an integer"},
		{`{"not":{"const":1}}`, `2`, `1`, "", "has a form that is not allowed"},
		{`{"properties":{"a":false}}`, `{}`, `{"a":1}`, "a", "is not allowed"},
		{`{"unevaluatedProperties":false,"allOf":[{"properties":{"a":true}}]}`, `{"a":1}`, `{"b":1}`, "b", "is not allowed"},
		{`{"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}}`, `{"a":1,"b":1}`, `{"a":1}`, "b", "is required"},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `null`, `1`, "", "fits none of the allowed forms"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, `1.5`, `1`, "", "fits more than one of the allowed forms"},
		{`{"oneOf":[{"type":"object","required":["a"]},{"type":"null"}]}`, `{"a":1}`, `{}`, "a", "is required"},
		{`{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"},"v":{"type":"integer"}}}},"$ref":"#/$defs/n"}`,
			`{"next":{"next":{"v":1}}}`, `{"next":{"next":{"v":"x"}}}`, "next.next.v", "must be an integer"},
		{`{"$ref":"#"}`, ``, `1`, "", "cannot be checked: its schema refers to itself"},
		{`{"format":"date-time"}`, `"2026-11-21T22:09:00Z"`, `"yesterday"`, "", "must be a valid date-time"},
		{`{"format":"uri"}`, `"https://a.b/c"`, `"a b"`, "", "must be a valid uri"},
		{`{"format":"uuid"}`, `"019aa0a0-0000-7000-8000-000000000000"`, `"x"`, "", "must be a valid uuid"},
		{`{"format":"hostname"}`, `"a.example"`, `"-a"`, "", "must be a valid hostname"},
		{`false`, ``, `1`, "", "is not allowed"},
		{`true`, `{"a":[1,{"b":null}]}`, ``, "", ""},
		{`{"format":"made-up"}`, `"x"`, ``, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.schema, func(t *testing.T) {
			t.Parallel()
			s := mustSchema(t, tt.schema)
			if tt.good != "" {
				if _, got := s.Validate([]byte(tt.good)); got != nil {
					t.Errorf("Validate(%s) = %v, want no error", tt.good, got)
				}
			}
			if tt.bad != "" {
				_, got := s.Validate([]byte(tt.bad))
				if diff := cmp.Diff(errorsOf(tt.path, tt.message), got); diff != "" {
					t.Errorf("Validate(%s) (-want +got):\n%s", tt.bad, diff)
				}
			}
		})
	}
}

// The rules of strict JSON are tested in internal/jsondoc.
func TestValidateRefusesWhatIsNotStrictJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ doc, path, message string }{
		{``, "", "is not valid JSON: it ends too early, at byte 0"},
		{`{"x":{"a":1,"\u0061":3}}`, "x.a", "occurs twice"},
		{"\"\xff\"", "", "is not valid UTF-8"},
		{`[1,1e309]`, "1", "is a number out of range"},
		{`{"a":}`, "a", "is not valid JSON: unexpected text at byte 5"},
	} {
		for _, s := range []*schema.Schema{nil, mustSchema(t, `true`), mustSchema(t, `{"type":"object"}`)} {
			out, got := s.Validate([]byte(tt.doc))
			if diff := cmp.Diff(errorsOf(tt.path, tt.message), got); diff != "" || out != nil {
				t.Errorf("Validate(%q) by %s = %s (-want +got):\n%s", tt.doc, s, out, diff)
			}
		}
	}
}

func TestValidateKeepsTheDocumentAsItIs(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, `{"type":"object"}`)
	doc := ` {"z":1.50, "a":12345678901234567890,"s":"\u00e4<&>"}` + "\n"
	got, wrong := s.Validate([]byte(doc))
	if want := strings.TrimSpace(doc); wrong != nil || string(got) != want {
		t.Errorf("Validate = %s, %v, want %s", got, wrong, want)
	}
}

func TestErrorsNeverContainTheValue(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	s := mustSchema(t, `{"type":"object","properties":{
		"a":{"format":"email"},"b":{"format":"uri"},"c":{"format":"date-time"},"d":{"enum":["x"]},"e":{"const":"x"},
		"f":{"pattern":"^x$"},"g":{"type":"integer"},"h":{"maxLength":1},"i":{"format":"ipv4"},"j":{"format":"regex"},
		"k":{"format":"uuid"},"l":{"format":"hostname"},"m":{"format":"duration"},"n":{"format":"json-pointer"},
		"o":{"not":{"type":"string"}},"p":{"anyOf":[{"type":"integer"},{"const":"y"}]},"q":{"uniqueItems":true},
		"r":{"contains":{"const":1}},"s":{"format":"ipv6"},"t":{"format":"semver"},"u":{"oneOf":[{"type":"string"},{"minLength":1}]}}}`)
	var members []string
	for name := 'a'; name <= 'u'; name++ {
		value := `"([` + canary + `"`
		if name == 'q' || name == 'r' {
			value = "[" + value + "," + value + "]"
		}
		members = append(members, `"`+string(name)+`":`+value)
	}
	_, wrong := s.Validate([]byte("{" + strings.Join(members, ",") + "}"))
	if len(wrong) < 'u'-'a'+1 {
		t.Errorf("got %d errors, want one for each of the members", len(wrong))
	}
	for _, w := range wrong {
		if strings.Contains(w.Message+w.Path, canary) {
			t.Errorf("%+v holds the value", w)
		}
	}
	for _, broken := range []string{`{"a":"` + canary + `"`, `{"a":"` + canary + `\x"}`, `[` + canary + `]`, canary} {
		_, wrong := s.Validate([]byte(broken))
		if len(wrong) != 1 || strings.Contains(wrong[0].Message+wrong[0].Path, canary) {
			t.Errorf("Validate(%s) = %v, want one error without the value", broken, wrong)
		}
	}
}

func TestNumberOfErrorsIsBounded(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, `{"items":{"type":"string"}}`)
	_, wrong := s.Validate([]byte("[" + strings.Repeat("1,", 999) + "1]"))
	if len(wrong) != 257 || wrong[256].Message != "has 744 more errors" {
		t.Errorf("got %d errors, the last %+v; want 256 and one that counts the rest", len(wrong), wrong[len(wrong)-1])
	}
	long := strings.Repeat("k", 1000)
	_, wrong = mustSchema(t, `{"additionalProperties":false}`).Validate([]byte(`{"` + long + `":1}`))
	if len(wrong) != 1 || len(wrong[0].Path) > 80 {
		t.Errorf("got %v, want a path that is cut", wrong)
	}
}

func TestSchemaIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, benchSchema)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 100 {
				if _, wrong := s.Validate([]byte(benchSmall)); wrong != nil {
					t.Error(wrong)
				}
				if _, wrong := s.Validate([]byte(`{"text":1}`)); len(wrong) != 1 {
					t.Error(wrong)
				}
			}
		})
	}
}

// Go decodes 1000.0 into no integer type, and a nil pointer is null.
func TestIntegersAreWrittenAsGoReadsThem(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, `{"properties":{"n":{"type":"integer"},"x":{"type":"number"},"a":{"items":{"$ref":"#/$defs/n"}},"o":{"oneOf":[{"type":"integer"},{"type":"null"}]}},
		"additionalProperties":{"type":["integer","string"]},"$defs":{"n":{"type":"integer"}}}`)
	for doc, want := range map[string]string{
		`{"n":1000.0,"x":1000.0}`:       `{"n":1000,"x":1000.0}`,
		`{"n":1234567890123456789.00}`:  `{"n":1234567890123456789}`,
		`{"n":1e3,"o":-2.0,"more":5.0}`: `{"more":5,"n":1000,"o":-2}`,
		`{"a":[1.0,2,"x"]}`:             "",
		`{"a":[1.0,2,15e-1]}`:           "",
		`{"a":[1.0,2,150e-1]}`:          `{"a":[1,2,15]}`,
		`{"n":1e300}`:                   `{"n":1e300}`,
		`{ "x":1.5, "n":3 }`:            `{ "x":1.5, "n":3 }`,
	} {
		got, wrong := s.Validate([]byte(doc))
		if string(got) != want || (wrong == nil) != (want != "") {
			t.Errorf("%s: got %s %v, want %s", doc, got, wrong, want)
		}
	}
}

func TestAPointerMayBeNull(t *testing.T) {
	t.Parallel()
	type inner struct {
		N *int `json:"n" jsonschema:"minimum=1"`
	}
	type out struct {
		Name  *string `json:"name" jsonschema:"title=Name" jsonschema_description:"a, b"`
		Inner *inner  `json:"inner"`
		Left  *string `json:"left,omitempty"`
		Text  string  `json:"text"`
	}
	s := schema.For[out]()
	for doc, valid := range map[string]bool{
		`{"name":null,"inner":null,"text":""}`:             true,
		`{"name":"x","inner":{"n":null},"text":""}`:        true,
		`{"name":"x","inner":{"n":0},"text":""}`:           false,
		`{"name":1,"inner":null,"text":""}`:                false,
		`{"inner":null,"text":""}`:                         false,
		`{"name":null,"inner":null,"text":null}`:           false,
		`{"name":null,"inner":null,"text":"","left":null}`: false,
	} {
		if _, wrong := s.Validate([]byte(doc)); (wrong == nil) != valid {
			t.Errorf("%s: got %v, valid is %v\n%s", doc, wrong, valid, s)
		}
	}
	if f := s.Fields()[0]; f.Label != "Name" || f.Description != "a, b" {
		t.Errorf("got field %+v", f)
	}
}
