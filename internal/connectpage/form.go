package connectpage

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// showForm shows the connector's config as a form. Secrets that were entered before
// are not shown again.
func showForm(w http.ResponseWriter, s *records.Session, def *connectors.Connector, entered url.Values, wrong *connectors.Error) {
	page := content{Title: "Connect " + nameOf(def), Text: def.Metadata.Description, Tenant: forWhom(s), Connector: def.Key}
	status := http.StatusOK
	if wrong != nil {
		status, page.Text = http.StatusBadRequest, wrong.Message
	}
	for _, f := range def.Config.Fields() {
		field := inputOf(f, entered)
		for _, e := range problemsOf(wrong) {
			if e.Path == f.Name {
				field.Error = e.Message
			}
		}
		page.Fields = append(page.Fields, field)
	}
	render(w, status, "form", page)
}

// inputOf is a field as the page has it, with what was entered before, or its default.
func inputOf(f schema.Field, entered url.Values) field {
	field := field{Name: f.Name, Label: f.Label, Type: "text", Description: f.Description, Required: f.Required, Values: entered["config."+f.Name]}
	if entered == nil && f.Default != nil {
		field.Values = shownAll(f.Default)
	}
	switch {
	case f.Type == schema.FieldBoolean:
		field.Type, field.Required = "checkbox", false
	case f.Secret && f.Type != schema.FieldTextarea: // in one line, a key in PEM would be destroyed
		field.Type = "password"
	case f.Type != schema.FieldString:
		field.Type = string(f.Type)
	}
	if f.Secret {
		field.Values = nil
	}
	for _, o := range f.Options {
		field.Options = append(field.Options, option{Value: shown(o.Value), Label: o.Label})
	}
	return field
}

// shown is a JSON value as people write it: a string is its text.
func shown(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

func shownAll(value json.RawMessage) []string {
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil {
		return []string{shown(value)}
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = shown(item)
	}
	return texts
}

func problemsOf(e *connectors.Error) []schema.FieldError {
	if e == nil {
		return nil
	}
	return e.Errors
}

// configOf makes a config of a form's fields; what was left empty is left out.
func configOf(def *connectors.Connector, form url.Values) []byte {
	config := map[string]any{}
	for _, f := range def.Config.Fields() {
		if value := valueOf(f, form["config."+f.Name]); value != nil {
			put(config, f.Name, value)
		}
	}
	// A text is a text, unless the schema will not have it and it is JSON.
	_, wrong := def.Config.Validate(encode(config))
	for _, f := range def.Config.Fields() {
		text := form.Get("config." + f.Name)
		if f.Type == schema.FieldTextarea && json.Valid([]byte(text)) && concerns(wrong, f.Name) {
			put(config, f.Name, json.RawMessage(text))
		}
	}
	return encode(config)
}

// valueOf is what a field's input means; nil if nothing was entered.
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
		if n, err := strconv.ParseFloat(texts[0], 64); err == nil {
			return n
		}
	}
	return texts[0]
}

// choice is the value of the option that is shown as text.
func choice(f schema.Field, text string) any {
	for _, o := range f.Options {
		if shown(o.Value) == text {
			return o.Value
		}
	}
	return text
}

// put sets a value at a dotted path.
func put(config map[string]any, path string, value any) {
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

func concerns(wrong []schema.FieldError, path string) bool {
	for _, e := range wrong {
		if e.Path == path || strings.HasPrefix(e.Path, path+".") {
			return true
		}
	}
	return false
}

// encode writes what was made of a form, which can always be written.
func encode(config map[string]any) []byte {
	doc, err := json.Marshal(config)
	if err != nil {
		return []byte("{}")
	}
	return doc
}
