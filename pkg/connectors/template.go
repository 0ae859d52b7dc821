package connectors

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A valueTemplate is the parsed form of a template of [Auth]: texts and fields of
// the config.
//
//	Bearer ${config.apiKey}   →   "Bearer ", apiKey
type valueTemplate []valuePart

// valuePart is a text, or the dotted path of a field: the one that is not empty.
type valuePart struct{ text, field string }

const fieldMark = "${config."

// parseValueTemplate parses a template. "${" is allowed only as the beginning of
// "${config.<dotted path>}".
func parseValueTemplate(source string) (valueTemplate, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("is longer than %d bytes", maxTemplate)
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
		if !closed || !ok || !dottedPath.MatchString(field) || strings.ContainsAny(field, "${ ") {
			return nil, fmt.Errorf(`may contain "${" only in "${config.<dotted path>}"`)
		}
		t = append(t, valuePart{field: field})
		source = after
	}
	return t, nil
}

// fields returns the fields that the template names.
func (t valueTemplate) fields() (fields []string) {
	for _, p := range t {
		if p.field != "" {
			fields = append(fields, p.field)
		}
	}
	return fields
}

// templateFields returns the fields that a template names; none if it is invalid, which the
// definition check reports.
func templateFields(source string) []string {
	t, err := parseValueTemplate(source)
	if err != nil {
		return nil
	}
	return t.fields()
}

// expand fills in the template. It returns "" if a field is absent, null or "".
// The error is about the config's value and does not quote it.
func (t valueTemplate) expand(config configValues) (string, *schema.FieldError) {
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, err := config.text(p.field)
		if err != nil || value == "" {
			return "", err
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

var (
	// headerName is a token of RFC 9110 section 5.6.2.
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	// dottedPath consists of non-empty steps.
	dottedPath = regexp.MustCompile(`^[^.]+(\.[^.]+)*$`)
)

// maxTemplate is the size limit of templates, in bytes.
const maxTemplate = 4096
