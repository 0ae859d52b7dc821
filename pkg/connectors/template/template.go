// Package template parses and fills in the templates of connector definitions: texts with
// placeholders.
//
//	Bearer ${config.apiKey}          a field of the connection's config
//	/contacts/${input.id}            a field of an action's input
//	Basic ${config.key | base64}     the one filter
//
// A placeholder is a root, a dotted path, and optionally the filter base64. There is no
// other syntax: any other "${" is an error. The meaning of roots belongs to the caller.
package template

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// MaxLength is the size limit of a template, in bytes.
const MaxLength = 16 << 10

// A Template is a parsed template. Immutable.
type Template struct{ parts []Part }

// Part is a text, or a placeholder: Ref is nil or not.
type Part struct {
	Text string
	Ref  *Ref
}

// Ref is a placeholder.
type Ref struct {
	Root string // "config"
	Path string // dotted path below the root; "" where the root is the value
	// Base64 means that the value's text is encoded by RFC 4648 section 4.
	Base64 bool
}

// Filter returns the text of the value as the placeholder has it.
func (r Ref) Filter(text string) string {
	if r.Base64 {
		return base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}

// String returns the placeholder without its filter: "config.apiKey".
func (r Ref) String() string { return strings.TrimSuffix(r.Root+"."+r.Path, ".") }

var placeholder = regexp.MustCompile(`^([a-z_]+)((?:\.[^.${}|\s]+)*)(?:\s*\|\s*(\S+)\s*)?$`)

// Parse parses a template.
func Parse(source string) (Template, error) {
	if len(source) > MaxLength {
		return Template{}, fmt.Errorf("is longer than %d bytes", MaxLength)
	}
	var t Template
	for source != "" {
		text, rest, found := strings.Cut(source, "${")
		if text != "" {
			t.parts = append(t.parts, Part{Text: text})
		}
		if !found {
			break
		}
		inner, after, closed := strings.Cut(rest, "}")
		match := placeholder.FindStringSubmatch(inner)
		if !closed || match == nil {
			return Template{}, fmt.Errorf(`may contain "${" only in a placeholder such as ${config.apiKey}`)
		}
		if match[3] != "" && match[3] != "base64" {
			return Template{}, fmt.Errorf("has the unknown filter %q: there is only base64", match[3])
		}
		t.parts = append(t.parts, Part{Ref: &Ref{Root: match[1], Path: strings.TrimPrefix(match[2], "."), Base64: match[3] != ""}})
		source = after
	}
	return t, nil
}

// Parts returns the texts and placeholders, in order. It must not be changed.
func (t Template) Parts() []Part { return t.parts }

// Refs returns the placeholders, in order.
func (t Template) Refs() (refs []Ref) {
	for _, p := range t.parts {
		if p.Ref != nil {
			refs = append(refs, *p.Ref)
		}
	}
	return refs
}

// Values returns the value of a placeholder; false if there is none.
type Values func(Ref) (any, bool)

// Value fills in the template. A template that is one placeholder without a filter has the
// value as it is, null included; any other has a text. ok is false if a placeholder has no
// value, or in a text null.
func (t Template) Value(values Values) (value any, ok bool, err error) {
	if len(t.parts) == 1 && t.parts[0].Ref != nil && !t.parts[0].Ref.Base64 {
		value, ok = values(*t.parts[0].Ref)
		return value, ok, nil
	}
	text, missing, err := t.Text(values, func(s string) (string, error) { return s, nil })
	return text, missing == nil, err
}

// Text fills in the template as a text and passes the text of each placeholder through
// escape. missing is the first placeholder without a value.
func (t Template) Text(values Values, escape func(string) (string, error)) (text string, missing *Ref, err error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.Ref == nil {
			b.WriteString(p.Text)
			continue
		}
		value, ok := values(*p.Ref)
		if !ok || value == nil {
			return "", p.Ref, nil
		}
		s, err := escape(p.Ref.Filter(TextOf(value)))
		if err != nil {
			return "", nil, fmt.Errorf("%s %w", p.Ref, err)
		}
		b.WriteString(s)
	}
	return b.String(), nil, nil
}

// TextOf returns a decoded JSON value as text: a string as it is, null as "", all others as
// JSON.
func TextOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(encoded)
}

// Lookup returns the value at a dotted path through the objects of a decoded document.
func Lookup(document any, path string) (any, bool) {
	if path == "" {
		return document, document != nil
	}
	for name := range strings.SplitSeq(path, ".") {
		object, _ := document.(map[string]any)
		member, found := object[name]
		if !found {
			return nil, false
		}
		document = member
	}
	return document, true
}
