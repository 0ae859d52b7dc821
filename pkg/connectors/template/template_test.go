package template_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors/template"
)

func values(t *testing.T, document string) template.Values {
	t.Helper()
	var all any
	dec := json.NewDecoder(strings.NewReader(document))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return func(r template.Ref) (any, bool) { return template.Lookup(all, r.String()) }
}

func TestValueKeepsTheTypeOfAWholePlaceholder(t *testing.T) {
	t.Parallel()
	given := values(t, `{"input":{"n":12345678901234567890,"f":1.50,"null":null,"list":[1],"s":"a b","on":true},"config":{"a":{"b":"x"}}}`)
	for source, want := range map[string]any{
		"${input.n}":                     json.Number("12345678901234567890"),
		"${input.f}":                     json.Number("1.50"),
		"${input.null}":                  nil,
		"${input.list}":                  []any{json.Number("1")},
		"no placeholder":                 "no placeholder",
		"":                               "",
		"n=${input.n}, ${input.on}":      "n=12345678901234567890, true",
		"Basic ${config.a.b | base64}":   "Basic eA==",
		"${config.a.b|base64}":           "eA==",
		"a $ b } { $${config.a.b}":       "a $ b } { $x",
		"list: ${input.list}${input.on}": "list: [1]true",
	} {
		parsed, err := template.Parse(source)
		if err != nil {
			t.Fatalf("Parse(%q): %v", source, err)
		}
		got, ok, err := parsed.Value(given)
		if !ok || err != nil {
			t.Errorf("Value(%q) = %v, %t, %v", source, got, ok, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Value(%q) (-want +got):\n%s", source, diff)
		}
	}
	for _, source := range []string{"${input.absent}", "x${input.absent}", "x${input.null}", "${config.a.b.c}"} {
		parsed, err := template.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, _ := parsed.Value(given); ok {
			t.Errorf("Value(%q) = %v, want none", source, got)
		}
	}
}

func TestTextEscapesPlaceholdersOnly(t *testing.T) {
	t.Parallel()
	parsed, err := template.Parse("/a b/${input.s}/x")
	if err != nil {
		t.Fatal(err)
	}
	got, missing, err := parsed.Text(values(t, `{"input":{"s":"a/b ?"}}`), func(s string) (string, error) { return url.PathEscape(s), nil })
	if want := "/a b/a%2Fb%20%3F/x"; got != want || missing != nil || err != nil {
		t.Errorf("Text = %q, %v, %v, want %q", got, missing, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"${", "${}", "${config.a", "${config..a}", "${Config.a}", "${config.a | upper}", "${config.${input.x}}", "${ config.a}", "${config.a }", "${1 + 2}"} {
		if _, err := template.Parse(source); err == nil {
			t.Errorf("Parse(%q) succeeded", source)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Bearer ${config.apiKey}")
	f.Add("${a|base64}${b.c}")
	f.Fuzz(func(_ *testing.T, source string) {
		parsed, err := template.Parse(source)
		if err != nil {
			return
		}
		_, _, _ = parsed.Value(func(template.Ref) (any, bool) { return "x", true })
	})
}
