package connectpage

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// form is a connector's config as a form. Secrets that were entered before are not
// shown again.
type form struct {
	session   *records.Session
	connector *connectors.Connector
	entered   url.Values        // nil: the form is new
	err       *connectors.Error // of what was entered
}

func (f form) render(w http.ResponseWriter) {
	c := f.connector
	page := content{Title: "Connect " + nameOf(c), Text: c.Metadata.Description, Tenant: tenantLine(f.session), Connector: c.Key}
	status, invalid := http.StatusOK, []schema.FieldError(nil)
	if f.err != nil {
		status, page.Text, invalid = http.StatusBadRequest, f.err.Message, f.err.Errors
	}
	for _, configField := range c.Config.Fields() {
		input := f.input(configField)
		for _, e := range invalid {
			if e.Path == configField.Name {
				input.Error = e.Message
			}
		}
		page.Fields = append(page.Fields, input)
	}
	render(w, status, "form", page)
}

// input returns a field of the page, with the value that was entered or the default.
func (f form) input(c schema.Field) field {
	input := field{Name: c.Name, Label: c.Label, Type: "text", Description: c.Description, Help: c.Help, Required: c.Required, Values: f.entered["config."+c.Name]}
	if f.entered == nil && c.Default != nil {
		input.Values = texts(c.Default)
	}
	switch {
	case c.Type == schema.FieldBoolean:
		input.Type, input.Required = "checkbox", false
	case c.Secret && c.Type != schema.FieldTextarea: // an input of one line would destroy a key in PEM
		input.Type = "password"
	case c.Type != schema.FieldString:
		input.Type = string(c.Type)
	}
	if c.Secret {
		input.Values = nil
	}
	if example := texts(c.Example); len(example) == 1 {
		input.Placeholder = example[0]
	}
	for _, o := range c.Options {
		input.Options = append(input.Options, option{Value: textOf(o.Value), Label: o.Label})
	}
	return input
}

// textOf returns a JSON value as text: that of a string is the string.
func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// texts returns the texts of an array's items, or that of a single value.
func texts(value json.RawMessage) []string {
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil {
		return []string{textOf(value)}
	}
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = textOf(item)
	}
	return all
}

// configOf returns the config of a form's fields, without those that are empty.
func configOf(def *connectors.Connector, form url.Values) []byte {
	config := map[string]any{}
	for _, f := range def.Config.Fields() {
		if value := valueOf(f, form["config."+f.Name]); value != nil {
			set(config, f.Name, value)
		}
	}
	// The text of a textarea is a string, unless the schema refuses that and it is JSON.
	_, invalid := def.Config.Validate(encode(config))
	for _, f := range def.Config.Fields() {
		text := form.Get("config." + f.Name)
		if f.Type == schema.FieldTextarea && json.Valid([]byte(text)) && concerns(invalid, f.Name) {
			set(config, f.Name, json.RawMessage(text))
		}
	}
	return encode(config)
}

// valueOf returns the value of a field's input; nil if it is empty.
func valueOf(f schema.Field, texts []string) any {
	switch {
	case f.Type == schema.FieldBoolean:
		return len(texts) > 0 && texts[0] == "true"
	case len(texts) == 0 || texts[0] == "":
		return nil
	case f.Type == schema.FieldMultiselect:
		chosen := make([]any, len(texts))
		for i, text := range texts {
			chosen[i] = choice(f, text)
		}
		return chosen
	case f.Type == schema.FieldSelect:
		return choice(f, texts[0])
	case f.Type == schema.FieldNumber:
		if n, ok := number(texts[0]); ok {
			return n
		}
	}
	return texts[0]
}

// floatingPoint is a valid floating-point number of HTML, which a number input sends. JSON
// has no leading zeros, and a digit before the point.
var floatingPoint = regexp.MustCompile(`^(-?)0*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)$`)

// number returns the text of a number input as JSON, with its digits.
func number(text string) (json.RawMessage, bool) {
	parts := floatingPoint.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return nil, false
	}
	if strings.HasPrefix(parts[2], ".") {
		parts[2] = "0" + parts[2]
	}
	n := json.RawMessage(parts[1] + parts[2])
	return n, json.Valid(n)
}

// choice returns the value of the option with the text.
func choice(f schema.Field, text string) any {
	for _, o := range f.Options {
		if textOf(o.Value) == text {
			return o.Value
		}
	}
	return text
}

// set sets a value at a dotted path.
func set(config map[string]any, path string, value any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, ok := config[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			config[name] = inner
		}
		config = inner
	}
	config[names[len(names)-1]] = value
}

// concerns reports whether one of the errors is at the path or below it.
func concerns(errs []schema.FieldError, path string) bool {
	for _, e := range errs {
		if e.Path == path || strings.HasPrefix(e.Path, path+".") {
			return true
		}
	}
	return false
}

// encode returns a config as JSON.
func encode(config map[string]any) []byte {
	doc, err := json.Marshal(config)
	if err != nil {
		return []byte("{}") // cannot happen: values come from forms and JSON
	}
	return doc
}
