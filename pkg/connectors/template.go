package connectors

import (
	"fmt"
	"strings"
)

// A valueTemplate is the parsed form of a template of [Auth]: texts and fields of
// the config in turn.
//
//	Bearer ${config.apiKey}   →   "Bearer ", apiKey
type valueTemplate []valuePart

// valuePart is a text, or the dotted path of a field: the one that is not empty.
type valuePart struct{ text, field string }

const fieldMark = "${config."

// parseValueTemplate reads a template. "${" is allowed only as the beginning of
// "${config.<dotted path>}".
func parseValueTemplate(source string) (valueTemplate, error) {
	if len(source) > longestTemplate {
		return nil, fmt.Errorf("is longer than %d bytes", longestTemplate)
	}
	var t valueTemplate
	for source != "" {
		text, rest, found := strings.Cut(source, "${")
		if text != "" {
			t = append(t, valuePart{text: text})
		}
		if !found {
			break
		}
		placeholder, after, closed := strings.Cut("${"+rest, "}")
		field, ok := strings.CutPrefix(placeholder, fieldMark)
		if !closed || !ok || !isPath(field) || strings.ContainsAny(field, "${ ") {
			return nil, fmt.Errorf(`may hold "${" only in "${config.<dotted path>}"`)
		}
		t = append(t, valuePart{field: field})
		source = after
	}
	return t, nil
}

// fields lists the fields that the template names.
func (t valueTemplate) fields() (fields []string) {
	for _, p := range t {
		if p.field != "" {
			fields = append(fields, p.field)
		}
	}
	return fields
}

// expand fills the template in. It is false if a field is absent, null or "".
// The error is about the config's value and does not quote it.
func (t valueTemplate) expand(config *document) (string, bool, *FieldError) {
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, err := config.field(p.field)
		if err != nil || value == "" {
			return "", false, err
		}
		b.WriteString(value)
	}
	return b.String(), true, nil
}

// field returns a scalar of the config as text; "" if it is absent or null. What
// could begin a new header or request line is refused.
func (d *document) field(path string) (string, *FieldError) {
	i, ok := d.lookup(path)
	if !ok {
		return "", nil
	}
	switch d.nodes[i].kind {
	case nullNode:
		return "", nil
	case stringNode:
		text := d.string(i)
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", &FieldError{path, "must not contain line breaks or other control characters"}
		}
		return text, nil
	case boolNode, numberNode:
		return d.text(i), nil
	default:
		return "", &FieldError{path, "must be a single value"}
	}
}
