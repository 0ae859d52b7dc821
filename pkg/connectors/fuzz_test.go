package connectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// fuzzSchemas reach every branch of the quick check; none has defaults.
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

// FuzzValidate holds the quick check and the full validator together: Validate
// has to agree with the library on every document that is strict JSON.
func FuzzValidate(f *testing.F) {
	var ours []*connectors.Schema
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
		if _, strict := (*connectors.Schema)(nil).Validate([]byte(doc)); strict != nil {
			if !reflect.DeepEqual(wrong, strict) {
				t.Fatalf("Validate(%q) = %v, want the error of the parser, %v", doc, wrong, strict)
			}
			return
		}
		if err := theirs[n].Validate(value); (err == nil) != (wrong == nil) {
			t.Fatalf("schema %s, document %s: we say %v, the validator says %v", fuzzSchemas[n], doc, wrong, err)
		}
		if wrong == nil && string(out) != strings.Trim(doc, " \t\r\n") {
			t.Fatalf("Validate(%q) = %q, want the document itself", doc, out)
		}
	})
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
	f.Fuzz(func(t *testing.T, schema, doc string) {
		s, err := connectors.ParseSchema([]byte(schema))
		if err != nil {
			return
		}
		out, wrong := s.Validate([]byte(doc))
		if wrong == nil {
			if again, wrong := s.Validate(out); wrong != nil || !bytes.Equal(out, again) {
				t.Errorf("schema %s: filling in is not stable: %s, then %s %v", schema, out, again, wrong)
			}
		}
		s.Fields()
		s.SecretPaths()
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := connectors.ParseSchema(b)
		if err != nil {
			t.Fatalf("%s does not parse again: %v", b, err)
		}
		if c, _ := json.Marshal(again); !bytes.Equal(b, c) {
			t.Errorf("%s parses and marshals as %s", b, c)
		}
	})
}

// FuzzParseDefinition: no panic, and what parses is written as the same bytes
// from then on.
func FuzzParseDefinition(f *testing.F) {
	f.Add(string(mustDefine(f, registered(f, chat()))))
	f.Add(`{"format":1,"key":"a","version":"1.0.0","config":{"type":"object"},"default_config":{"a":[1]},"base_url":"https://a.example","auth":{"kind":"oauth2","oauth2":{"authorization_url":"https://a.example","token_url":"https://b.example"}},"actions":[{"key":"x","input":true,"output":false,"timeout":"1s"}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := connectors.ParseDefinition([]byte(doc))
		if err != nil {
			return
		}
		once := mustDefine(t, c)
		again, err := connectors.ParseDefinition(once)
		if err != nil {
			t.Fatalf("%s does not parse again: %v", once, err)
		}
		if twice := mustDefine(t, again); !bytes.Equal(once, twice) {
			t.Errorf("%s\nis then\n%s", once, twice)
		}
		if _, err := c.Resolve(c.DefaultConfig); err != nil && !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) {
			t.Errorf("Resolve = %v", err)
		}
	})
}

// FuzzTemplates: whatever templates and values say, a header holds no control
// characters, and a value cannot move the base URL to another host or up its path.
func FuzzTemplates(f *testing.F) {
	for _, template := range []string{"${config.v}", "Bearer ${config.v}", "${config.v}${config.v}", "$", "${", "${config.", "${config.}", "${config.v.w}", "$${config.v}}", "${x}", "a}b"} {
		for _, value := range []string{"", "x", "a b", "a\nb", "evil.example/", "evil.example#", "a@b", "..", "%2f", "1:2", "ä", "a..b", "a.", "\\", "[::1]", "evil.example:80"} {
			f.Add(template, value)
		}
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		config, err := json.Marshal(map[string]string{"v": value})
		if err != nil {
			t.Fatal(err)
		}
		c := connectors.Connector{BaseURL: "https://${config.v}.a.example/x/${config.v}/y", Auth: connectors.Auth{Headers: map[string]string{"X": template}}}
		header := c
		header.BaseURL = ""
		if rt, err := header.Resolve(config); err == nil {
			got := rt.Headers["X"].Reveal()
			if strings.ContainsFunc(strings.ReplaceAll(got, template, ""), func(r rune) bool { return r < ' ' || r == 0x7f }) && !strings.ContainsFunc(template, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("template %q, value %q: header %q", template, value, got)
			}
		}
		rt, err := c.Resolve(config)
		if err != nil {
			return
		}
		u, err := url.Parse(rt.BaseURL)
		if err != nil || u.Scheme != "https" || !strings.HasSuffix(u.Host, ".a.example") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("value %q: base URL %q (%v)", value, rt.BaseURL, err)
		}
		if clean := path.Clean(u.EscapedPath()); clean != u.EscapedPath() || strings.Count(clean, "/") != 3 {
			t.Errorf("value %q: path %q", value, u.EscapedPath())
		}
		if c.BaseURL = template; c.BaseURL != "" {
			if rt, err := c.Resolve(config); err == nil && !strings.HasPrefix(rt.BaseURL, "http") && !strings.HasPrefix(rt.BaseURL, "HTTP") {
				t.Errorf("template %q, value %q: base URL %q", template, value, rt.BaseURL)
			}
		}
	})
}

// Whatever template is registered with the operator's client, and whatever is typed: the
// secret stays in one domain.
func FuzzHostsOfTheOperatorsSecret(f *testing.F) {
	for _, template := range []string{
		"https://${config.v}.x.example/token", "https://${config.v}/token", "${config.v}", "${config.v}.x.example", "https://${config.v}x.example", "https://a.${config.v}.${config.v}.x.example:8443",
		"https://x.example/${config.v}", "https://x.example:${config.v}/", "https://${config.v}.x.example:${config.v}/", "https://[${config.v}]/", "https://${config.v}.x.example\\", "https://u@${config.v}.x.example",
	} {
		for _, value := range []string{"x", "evil.example/", "evil.example", "evil.example:80", "evil.example:80:", "a@b", "..", "%2f", "1", "https://evil.example", "\\", "?", "#", "[::1]"} {
			f.Add(template, value)
		}
	}
	schema := mustSchema(f, `{"type":"object","properties":{"v":{"type":"string"}},"additionalProperties":false}`)
	f.Fuzz(func(t *testing.T, template, value string) {
		c := connectors.Connector{Key: "x", BaseURL: "https://x.example", Config: schema, Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
			AuthorizationURL: "https://x.example/authorize", TokenURL: template,
		}}}
		if connectors.NewRegistry().Register(c) != nil {
			return
		}
		domain := func(value string) string {
			config, err := json.Marshal(map[string]string{"v": value})
			if err != nil {
				t.Fatal(err)
			}
			urls, err := c.OAuthEndpoints(config)
			if err != nil {
				return ""
			}
			u, err := url.Parse(urls.Token)
			if err != nil {
				t.Fatalf("template %q, value %q: %q: %v", template, value, urls.Token, err)
			}
			if names := strings.Split(u.Hostname(), "."); strings.Contains(template, "${") && len(names) > 2 {
				return strings.Join(names[len(names)-2:], ".")
			}
			return u.Hostname()
		}
		if plain, got := domain("a"), domain(value); plain != "" && got != "" && got != plain {
			t.Errorf("template %q: the value %q leads to %q, and a plain one to %q", template, value, got, plain)
		}
	})
}
