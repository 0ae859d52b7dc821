package connectors

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// A valueTemplate is the parsed form of a template of [Auth]: texts and fields of
// the config, or of the other objects that the template may name.
//
//	Bearer ${config.apiKey}   →   "Bearer ", apiKey
type valueTemplate []valuePart

// valuePart is a text, or the dotted path of a field: the one that is not empty. root is
// the object of the field; "" is the config.
type valuePart struct {
	text, field, root string
	filter            func(string) string
}

// fieldMark begins every placeholder of the config: see package template.
const fieldMark = "${config."

// Roots of placeholders. Each template may name the config; only those of OAuth the others.
const (
	rootConfig = "config"
	rootApp    = "app"   // the operator's OAuth client
	rootToken  = "token" // the token that a request is about
)

var allRoots = []string{rootApp, rootToken}

// templateValues are the values of templates by root; "" is the config.
type templateValues map[string]configValues

// roots returns the roots besides the config.
func (v templateValues) roots() (roots []string) {
	for _, root := range allRoots {
		if _, ok := v[root]; ok {
			roots = append(roots, root)
		}
	}
	return roots
}

// parseValueTemplate parses a template whose placeholders are fields of the config, or of
// one of the roots.
func parseValueTemplate(source string, roots ...string) (valueTemplate, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("is longer than %d bytes", maxTemplate)
	}
	parsed, err := template.Parse(source)
	if err != nil {
		return nil, err
	}
	var t valueTemplate
	for _, p := range parsed.Parts() {
		if p.Ref == nil {
			t = append(t, valuePart{text: p.Text})
			continue
		}
		root := p.Ref.Root
		if root == rootConfig {
			root = ""
		} else if !slices.Contains(roots, root) {
			return nil, fmt.Errorf(`may contain "${" only in %s`, placeholders(roots))
		}
		if p.Ref.Path == "" {
			return nil, fmt.Errorf("names no field in ${%s}", p.Ref)
		}
		t = append(t, valuePart{field: p.Ref.Path, root: root, filter: p.Ref.Filter})
	}
	return t, nil
}

// placeholders lists the forms of placeholders for a message.
func placeholders(roots []string) string {
	all := `"${config.<dotted path>}"`
	for _, root := range roots {
		all += `, "${` + root + `.<dotted path>}"`
	}
	return all
}

// fields returns the fields of the config that the template names.
func (t valueTemplate) fields() (fields []string) {
	for _, p := range t {
		if p.field != "" && p.root == "" {
			fields = append(fields, p.field)
		}
	}
	return fields
}

// templateFields returns the fields that a template names; none if it is invalid, which the
// definition check reports.
func templateFields(source string) []string {
	t, err := parseValueTemplate(source, allRoots...)
	if err != nil {
		return nil
	}
	return t.fields()
}

// expand fills in the template. It returns "" if a field is absent, null or "".
// The error is about the value and does not quote it.
func (t valueTemplate) expand(config configValues) (string, *schema.FieldError) {
	return t.expandWith(templateValues{"": config})
}

// expandWith is expand for a template that may name other objects than the config.
func (t valueTemplate) expandWith(values templateValues) (string, *schema.FieldError) {
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, err := values[p.root].text(p.field)
		if err != nil || value == "" {
			return "", err
		}
		b.WriteString(p.filter(value))
	}
	return b.String(), nil
}

// headerName is a token of RFC 9110 section 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// maxTemplate is the size limit of templates, in bytes.
const maxTemplate = 4096
