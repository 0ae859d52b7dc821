package schema_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Every kind of field that a schema can be derived from.
type (
	Everything struct {
		APIKey   connectors.Secret            `json:"apiKey" jsonschema:"title=API key,description=From your account's page,minLength=8"`
		Channel  string                       `json:"channel" jsonschema:"default=general,pattern=^[a-z]{1\\,30}$"`
		Mode     string                       `json:"mode,omitempty" jsonschema:"enum=fast,enum=slow,default=fast"`
		Size     int                          `json:"size,omitzero" jsonschema:"minimum=1,maximum=10,default=3"`
		Ratio    float64                      `json:"ratio,omitempty" jsonschema:"minimum=0.5"`
		On       bool                         `json:"on,omitempty" jsonschema:"default=true"`
		Tags     []string                     `json:"tags,omitempty" jsonschema:"enum=a,enum=b"`
		Home     string                       `json:"home,omitempty" jsonschema:"format=uri"`
		Notes    string                       `json:"notes,omitempty" jsonschema:"format=textarea"`
		Since    time.Time                    `json:"since,omitzero"`
		Address  netip.Addr                   `json:"address,omitzero"`
		Count    json.Number                  `json:"count,omitempty"`
		Raw      json.RawMessage              `json:"raw,omitempty"`
		Blob     []byte                       `json:"blob,omitempty"`
		Proxy    *Proxy                       `json:"proxy,omitempty"`
		Backups  []Proxy                      `json:"backups,omitempty"`
		Labels   map[string]string            `json:"labels,omitempty"`
		Tokens   map[string]connectors.Secret `json:"tokens,omitempty"`
		Nickname *string                      `json:"nickname,omitempty" jsonschema:"nullable"`
		Embedded
		hidden int
	}
	Proxy struct {
		Host     string            `json:"host"`
		Port     int               `json:"port,omitempty" jsonschema:"default=3128"`
		Password connectors.Secret `json:"password,omitzero"`
	}
	Embedded struct {
		Region string `json:"region" jsonschema:"enum=eu,enum=us"`
	}
	Tree struct {
		Name     string `json:"name"`
		Children []Tree `json:"children,omitempty"`
	}
	Page[T any] struct {
		Items []T `json:"items"`
	}
)

func TestSchemasAreDerivedFromTypes(t *testing.T) {
	t.Parallel()
	_ = Everything{hidden: 1}
	for name, s := range map[string]*schema.Schema{
		"everything": schema.For[Everything](),
		"tree":       schema.For[Tree](),
		"page":       schema.For[Page[Page[Proxy]]](),
		"empty":      schema.For[struct{}](),
		"any":        schema.For[any](),
		"list":       schema.For[[]string](),
		"secret":     schema.For[connectors.Secret](),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.JSON(t, "schemas/"+name+".json", s)
		})
	}
}

func TestFieldsAreDerivedFromTheSchema(t *testing.T) {
	t.Parallel()
	golden.JSON(t, "fields/everything.json", schema.For[Everything]().Fields())
	golden.JSON(t, "fields/document.json", mustSchema(t, `{"type":"object","required":["region","proxy","plan"],"properties":{
		"region":{"oneOf":[{"const":"eu","title":"Europe"},{"const":"us"}],"description":"Where it runs"},
		"plan":{"enum":[1,2.50,null]},
		"proxy":{"$ref":"#/$defs/proxy","title":"Proxy"},
		"options":{"type":"object","properties":{"deep":{"type":"object","required":["x"],"properties":{"x":{"type":"string"}}}}},
		"headers":{"type":"object","additionalProperties":{"type":"string"}},
		"days":{"type":"array","items":{"enum":["mo","tu"]}},
		"rows":{"type":"array","items":{"type":"object"}},
		"pin":{"type":"integer","writeOnly":true},
		"credential":{"type":"object","writeOnly":true,"properties":{"a":{"type":"string"}}},
		"keyboard":{"type":["string","null"],"default":"qwerty"},
		"anything":{}},
		"$defs":{"proxy":{"type":"object","required":["host"],"properties":{"host":{"type":"string"},"port":{"type":"integer","default":3128}}}}}`).Fields())
	if got := schema.For[Tree]().Fields(); len(got) != 2 || got[1].Type != schema.FieldTextarea {
		t.Errorf("fields of a tree = %v, want a name and one text for the rest", got)
	}
	recursive := mustSchema(t, `{"type":"object","properties":{"a":{"type":"string"},"o":{"$ref":"#"},"p":{"$ref":"#"}}}`)
	if got := recursive.Fields(); len(got) != 3 {
		t.Errorf("fields of an object in itself = %v, want its three members", got)
	}
	for _, s := range []*schema.Schema{nil, mustSchema(t, `{"type":"string"}`), mustSchema(t, `true`), schema.For[struct{}]()} {
		if got := s.Fields(); len(got) != 0 {
			t.Errorf("fields of %s = %v, want none", s, got)
		}
	}
}

func TestTheLabelOfAFieldIsTheWordsOfItsName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"apiKey": "Api Key", "api_key": "Api Key", "api-key": "Api Key", "APIKey": "API Key", "baseURL": "Base URL",
		"x": "X", "": "", "oauth2Token": "Oauth2 Token", "élan": "Élan", "__a": "A",
	} {
		fields := mustSchema(t, `{"type":"object","properties":{"`+name+`":{"type":"string"}}}`).Fields()
		if got := fields[0].Label; got != want {
			t.Errorf("the label of %q is %q, want %q", name, got, want)
		}
	}
}

func TestParseRefusesInvalidSchemas(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"type":"strin"}`:                     "schema: type fits none of the allowed forms",
		`{"properties":{"a":{"minimum":"1"}}}`: "schema: properties.a.minimum must be a number",
		`{"pattern":"(?=x)"}`:                  "schema: pattern must be a valid regex",
		`[]`:                                   "schema: must be a boolean or an object",
		`{"type":"string","type":"object"}`:    "schema: type occurs twice",
		`{"a":`:                                "is not valid JSON",
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`:                                              "only https://json-schema.org/draft/2020-12/schema is supported",
		`{"$defs":{"x":{"$id":"x","$schema":"http://json-schema.org/draft-07/schema#"}},"$ref":"#/$defs/x"}`: "another draft",
		`{"$ref":"https://example.com/other.json"}`:                                                          "references have to stay in the document",
		`{"$ref":"file:///etc/passwd"}`:                                                                      "references have to stay in the document",
		`{"$ref":"other.json"}`:                                                                              "references have to stay in the document",
		`{"$ref":"#/$defs/none"}`:                                                                            "not found",
		`{"$dynamicRef":"#"}`:                                                                                "$dynamicRef is not supported",
		`{"properties":{"a":{"type":"integer","default":"x"}}}`:                                              `default of "a": must be an integer`,
		`{"properties":{"a":{"required":["b"],"default":{}}}}`:                                               `default of "a": b is required`,
		`{"properties":{"a":{"$ref":"#","default":{}}}}`:                                                     `default of "a": has a default that contains itself`,
		`{"properties":{"a":{"$ref":"#"},"k":{"type":"string","writeOnly":true}}}`:                           "a schema that contains itself cannot have secrets",
		strings.Repeat(`{"items":`, 300) + `{}` + strings.Repeat(`}`, 300):                                   "is nested deeper than 200 levels",
		`{"allOf":[` + strings.TrimSuffix(strings.Repeat(`{"$ref":"#/$defs/a"},`, 60), ",") + `],"$defs":{"a":{"allOf":[` +
			strings.TrimSuffix(strings.Repeat(`{"$ref":"#/$defs/b"},`, 60), ",") + `]},"b":{"allOf":[` +
			strings.TrimSuffix(strings.Repeat(`{"type":"string"},`, 60), ",") + `]}}}`: "describes too many places",
		`{"description":"` + strings.Repeat("x", 256<<10) + `"}`: "is larger than 256 KiB",
		`{"enum":[` + strings.Repeat("1,", 5000) + `1]}`:         "has more than 5000 values",
	} {
		_, err := schema.Parse([]byte(doc))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSchema(%.80s) = %v, want an error with %q", doc, err, want)
		}
	}
}

func TestForPanicsOnABadTag(t *testing.T) {
	t.Parallel()
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "Bad") || !strings.Contains(r, "size") {
			t.Errorf("recovered %q, want a sentence that names the type and the field", r)
		}
	}()
	type Bad struct {
		Size int `json:"size" jsonschema:"minimum=5,default=1"`
	}
	schema.For[Bad]()
}

func TestSchemaMarshalsAsItsDocument(t *testing.T) {
	t.Parallel()
	const doc = `{"type":"object","properties":{"b":{"type":"string"},"a":{"const":"<&>"}}}`
	s := mustSchema(t, " "+strings.ReplaceAll(doc, ",", ",\n\t"))
	if got := s.String(); got != doc {
		t.Errorf("got %s, want %s", got, doc)
	}
	b, err := json.Marshal(map[string]*schema.Schema{"x": s})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]*schema.Schema
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if _, wrong := back["x"].Validate([]byte(`{"a":"<&>"}`)); wrong != nil {
		t.Error(wrong)
	}
	if !s.Equal(mustSchema(t, doc)) || s.Equal(mustSchema(t, `true`)) || s.Equal(nil) || !(*schema.Schema)(nil).Equal(nil) {
		t.Error("Equal must compare documents")
	}
	if b, err := json.Marshal(&schema.Schema{}); err != nil || string(b) != "true" {
		t.Errorf("the zero schema marshals as %s, %v; want true", b, err)
	}
	if err := json.Unmarshal([]byte(`{"type":7}`), &schema.Schema{}); err == nil {
		t.Error("a bad schema was read")
	}
}

func TestSecretPathsFindEverySecret(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, schema string
		want         []string
	}{
		{"none", `{"properties":{"token":{"type":"string"},"password":{"type":"string"}}}`, nil},
		{"by writeOnly or format", `{"properties":{"a":{"writeOnly":true},"b":{"format":"password"},"c":{"format":"textarea"}}}`, []string{"/a", "/b"}},
		{"nested", `{"properties":{"a":{"properties":{"x/y":{"writeOnly":true},"m~n":{"writeOnly":true}}}}}`, []string{"/a/m~0n", "/a/x~1y"}},
		{"whole objects", `{"properties":{"a":{"writeOnly":true,"properties":{"b":{"writeOnly":true}}}}}`, []string{"/a"}},
		{"items and members", `{"properties":{"a":{"items":{"properties":{"k":{"writeOnly":true}}}},"m":{"additionalProperties":{"writeOnly":true}}}}`, []string{"/a/*/k", "/m/*"}},
		{"patterns", `{"patternProperties":{"^x":{"writeOnly":true}}}`, []string{"/*"}},
		{"references", `{"$defs":{"s":{"writeOnly":true}},"properties":{"a":{"$ref":"#/$defs/s"}}}`, []string{"/a"}},
		{"alternatives", `{"oneOf":[{"properties":{"a":{"writeOnly":true}}},{"properties":{"b":{"writeOnly":true}}}],
			"allOf":[{"properties":{"c":{"writeOnly":true}}}],"anyOf":[{"properties":{"d":{"writeOnly":true}}}],
			"if":{"properties":{"e":{"writeOnly":true}}},"then":{"properties":{"f":{"writeOnly":true}}},"else":{"properties":{"g":{"writeOnly":true}}},
			"dependentSchemas":{"x":{"properties":{"h":{"writeOnly":true}}}}}`, []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"}},
		{"in front of the rest", `{"prefixItems":[{"writeOnly":true},{}]}`, []string{"/0"}},
		{"overlaps widen", `{"prefixItems":[{"properties":{"k":{"writeOnly":true}}}],"items":{"writeOnly":true}}`, []string{"/*"}},
		{"a secret in all members and in one", `{"properties":{"a":{"properties":{"k":{"writeOnly":true}}}},"additionalProperties":{"writeOnly":true}}`, []string{"/*"}},
		{"the same place twice", `{"properties":{"a":{"writeOnly":true}},"allOf":[{"properties":{"a":{"format":"password"}}}]}`, []string{"/a"}},
		{"the document", `{"writeOnly":true}`, []string{""}},
		{"by type", ``, []string{"/apiKey", "/backups/*/password", "/proxy/password", "/tokens/*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := schema.For[Everything]()
			if tt.schema != "" {
				s = mustSchema(t, tt.schema)
			}
			if diff := cmp.Diff(tt.want, s.SecretPaths()); diff != "" {
				t.Errorf("SecretPaths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultsAreAddedAtEveryDepth(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, schema, doc, want string }{
		{"absent", `{"properties":{"a":{"default":1},"b":{"default":"x"}}}`, `{}`, `{"a":1,"b":"x"}`},
		{"digits stay", `{"properties":{"a":{"default":1.50}}}`, `{ "z": 2.00 }`, `{"a":1.50,"z":2.00}`},
		{"null is there", `{"properties":{"a":{"default":1}}}`, `{"a":null}`, `{"a":null}`},
		{"nested", `{"properties":{"o":{"properties":{"a":{"default":1}}}}}`, `{"o":{},"p":{}}`, `{"o":{"a":1},"p":{}}`},
		{"an absent object stays absent", `{"properties":{"o":{"properties":{"a":{"default":1}}}}}`, `{}`, `{}`},
		{"a default gets its own defaults", `{"properties":{"o":{"default":{},"properties":{"a":{"default":[1]}}}}}`, `{}`, `{"o":{"a":[1]}}`},
		{"defaults in defaults in defaults", `{"properties":{"o":{"default":{},"properties":{"p":{"default":{"q":0},"properties":{"a":{"default":1}}}}}}}`, `{}`, `{"o":{"p":{"a":1,"q":0}}}`},
		{"items", `{"items":{"properties":{"a":{"default":1}}}}`, `[{},{"a":2},3,{"b":0}]`, `[{"a":1},{"a":2},3,{"a":1,"b":0}]`},
		{"first items", `{"prefixItems":[{"properties":{"a":{"default":1}}}],"items":{"properties":{"b":{"default":2}}}}`, `[{},{}]`, `[{"a":1},{"b":2}]`},
		{"other members", `{"properties":{"x":{}},"additionalProperties":{"properties":{"a":{"default":1}}}}`, `{"x":{},"y":{}}`, `{"x":{},"y":{"a":1}}`},
		{"references", `{"$defs":{"d":{"type":"integer","default":7}},"properties":{"a":{"$ref":"#/$defs/d"}}}`, `{}`, `{"a":7}`},
		{"allOf", `{"allOf":[{"properties":{"a":{"default":1}}},{"properties":{"a":{"type":"integer"},"b":{"default":2}}}]}`, `{}`, `{"a":1,"b":2}`},
		{"this or null", `{"properties":{"o":{"oneOf":[{"type":"object","properties":{"a":{"default":1}}},{"type":"null"}]}}}`, `{"o":{}}`, `{"o":{"a":1}}`},
		{"alternatives are left alone", `{"anyOf":[{"properties":{"a":{"default":1}}},{}]}`, `{}`, `{}`},
		{"a default makes the required member", `{"required":["a"],"properties":{"a":{"default":1}}}`, `{}`, `{"a":1}`},
		{"recursion", `{"properties":{"a":{"default":1},"n":{"$ref":"#"}}}`, `{"n":{"n":{}}}`, `{"a":1,"n":{"a":1,"n":{"a":1}}}`},
		{"escaped names", `{"properties":{"a\"<\u00e4":{"default":1},"b":{"default":2}}}`, `{"\u0062":0}`, `{"a\"<ä":1,"b":0}`},
		{"not an object", `{"properties":{"a":{"default":1}}}`, `"x"`, `"x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, wrong := mustSchema(t, tt.schema).Validate([]byte(tt.doc))
			if wrong != nil || string(got) != tt.want {
				t.Errorf("Validate(%s) = %s, %v, want %s", tt.doc, got, wrong, tt.want)
			}
		})
	}
}

func TestSecretValuesAreThoseThatTheSchemaMarks(t *testing.T) {
	t.Parallel()
	config := schema.For[Everything]()
	var got []string
	for _, s := range config.SecretValues([]byte(`{"apiKey":"a","channel":"x","backups":[{"password":"b"},{"host":"y"}],"tokens":{"t":"c","u":""},"proxy":{"password":7}}`)) {
		got = append(got, s.Reveal())
	}
	if diff := cmp.Diff([]string{"a", "b", "7", "c"}, got); diff != "" {
		t.Errorf("SecretValues (-want +got):\n%s", diff)
	}
	if got := config.SecretValues([]byte(`{`)); got != nil {
		t.Errorf("of a broken config: %v, want none", got)
	}
}

func TestFieldsHaveTheHintsOfTheDocument(t *testing.T) {
	t.Parallel()
	s := mustSchema(t, `{"type":"object","properties":{
		"key":{"type":"string","x-help":"https://acme.example/keys","examples":["ak_1","ak_2"]},
		"site":{"type":"string","x-prefix":"https://","x-suffix":".acme.example"},
		"proxy":{"type":"object","properties":{"port":{"type":"integer","examples":[8080]}}}}}`)
	got, err := json.Marshal(s.Fields())
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"key","label":"Key","type":"string","required":false,"help":"https://acme.example/keys","example":"ak_1"},` +
		`{"name":"site","label":"Site","type":"string","required":false,"prefix":"https://","suffix":".acme.example"},` +
		`{"name":"proxy.port","label":"Port","type":"number","required":false,"example":8080}]`
	if string(got) != want {
		t.Errorf("Fields = %s, want %s", got, want)
	}
}
