package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// Field is one input of the form in which a person enters a config. It is derived from
// the schema alone; secrets are those that it marks.
type Field struct {
	// Name is the member's name. Members of an object that the schema describes
	// are fields of their own, with dotted names: "proxy.host".
	Name  string    `json:"name"`
	Label string    `json:"label"` // the title, else from the name: "apiKey" → "Api Key"
	Type  FieldType `json:"type"`
	// Required is false for what has a default.
	Required    bool            `json:"required"`
	Default     json.RawMessage `json:"default,omitempty"` // never that of a secret
	Options     []Option        `json:"options,omitempty"`
	Description string          `json:"description,omitempty"`
	// Help is the URL of a page about the field (x-help), Example what a value looks like
	// (the first of examples), Prefix and Suffix are shown around the input (x-prefix,
	// x-suffix). They come from the document where it describes the field, not from what it
	// refers to.
	Help    string          `json:"help,omitempty"`
	Example json.RawMessage `json:"example,omitempty"`
	Prefix  string          `json:"prefix,omitempty"`
	Suffix  string          `json:"suffix,omitempty"`
	// Secret means that the value is a secret, or contains one.
	Secret bool `json:"secret,omitempty"`
}

// Option is a choice of a select or multiselect.
type Option struct {
	Label string          `json:"label"`
	Value json.RawMessage `json:"value"`
}

// FieldType is the kind of input.
type FieldType string

// The kinds. Textarea is for texts of several lines (format textarea) and, as
// JSON, for maps, objects of any shape, and lists of them.
const (
	FieldString      FieldType = "string"
	FieldNumber      FieldType = "number"
	FieldBoolean     FieldType = "boolean"
	FieldSelect      FieldType = "select"
	FieldMultiselect FieldType = "multiselect"
	FieldTextarea    FieldType = "textarea"
)

// order is the names of each subschema's properties, as the document lists them, by the
// JSON pointer of "properties". The compiled schema has lost their order, and the keywords
// that only forms read.
type order struct {
	names map[string][]string
	hints map[string]Field // by the pointer of the property: Help, Example, Prefix, Suffix
}

func propertyOrder(root jsondoc.Value) order {
	o := order{map[string][]string{}, map[string]Field{}}
	var visit func(v jsondoc.Value, pointer string)
	visit = func(v jsondoc.Value, pointer string) {
		for name, member := range v.Members() {
			if strings.HasSuffix(pointer, "/properties") {
				o.names[pointer] = append(o.names[pointer], name)
				o.hints[pointer+"/"+escapePointer.Replace(name)] = Field{
					Help: member.Find("x-help").Unquote(), Prefix: member.Find("x-prefix").Unquote(), Suffix: member.Find("x-suffix").Unquote(),
					Example: json.RawMessage(member.Find("examples", "0").Raw),
				}
			}
			visit(member, pointer+"/"+escapePointer.Replace(name))
		}
		for i, item := range v.Elements() {
			visit(item, pointer+"/"+strconv.Itoa(i))
		}
	}
	visit(root, "")
	return o
}

// of returns the names of the subschema's properties.
func (o order) of(s *jsonschema.Schema) []string {
	return o.names[pointerOf(s)+"/properties"]
}

// pointerOf returns the JSON pointer of a subschema; one that occurs nowhere if it has none.
func pointerOf(s *jsonschema.Schema) string {
	_, fragment, _ := strings.Cut(s.Location, "#")
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return "?"
	}
	return pointer
}

// formFields returns the fields of an object's schema.
func formFields(s *jsonschema.Schema, secrets []string, o order) []Field {
	form := form{order: o, secrets: secrets}
	form.object(applying(s), "", true, 0)
	return form.fields
}

type form struct {
	order   order
	secrets []string             // the schema's
	open    []*jsonschema.Schema // objects that are being expanded
	fields  []Field
}

// maxFormDepth is how many nested objects a form expands.
const maxFormDepth = 4

func (f *form) object(schemas []*jsonschema.Schema, prefix string, required bool, depth int) {
	outer := f.open
	f.open = append(slices.Clip(f.open), schemas...)
	defer func() { f.open = outer }()
	var names []string
	for _, s := range schemas {
		for _, name := range f.order.of(s) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		var of []*jsonschema.Schema
		needed := false
		for _, s := range schemas {
			if property, ok := s.Properties[name]; ok {
				of = append(of, property)
			}
			needed = needed || slices.Contains(s.Required, name)
		}
		f.field(applying(of...), prefix+name, name, required && needed, depth)
	}
}

// field adds the field, or the fields, of one member that the schemas apply to.
func (f *form) field(schemas []*jsonschema.Schema, path, name string, required bool, depth int) {
	field := Field{Name: path, Label: label(name), Type: FieldString, Required: required}
	var titled, described, typed bool
	for _, s := range schemas {
		hint := f.order.hints[pointerOf(s)]
		field.Help, field.Prefix, field.Suffix = cmp.Or(field.Help, hint.Help), cmp.Or(field.Prefix, hint.Prefix), cmp.Or(field.Suffix, hint.Suffix)
		if field.Example == nil {
			field.Example = hint.Example
		}
		if s.Title != "" && !titled {
			field.Label, titled = s.Title, true
		}
		if s.Description != "" && !described {
			field.Description, described = s.Description, true
		}
		if s.Default != nil {
			field.Required = false
			if field.Default == nil {
				field.Default = encode(*s.Default)
			}
		}
		if !typed {
			field.Type, field.Options, typed = fieldType(s)
		}
	}
	whole, inside := secretAt(f.secrets, strings.Split(path, "."))
	expand := field.Type == FieldTextarea && !whole && field.Default == nil && depth < maxFormDepth &&
		slices.ContainsFunc(schemas, func(s *jsonschema.Schema) bool { return len(s.Properties) > 0 }) &&
		!slices.ContainsFunc(schemas, func(s *jsonschema.Schema) bool { return slices.Contains(f.open, s) })
	if expand {
		f.object(schemas, path+".", field.Required, depth+1)
		return
	}
	if field.Secret = whole || inside; field.Secret {
		field.Default = nil
	}
	if len(field.Example) == 0 {
		field.Example = nil
	}
	f.fields = append(f.fields, field)
}

// fieldType returns the kind of input for the schema; false if the schema does not
// determine it.
func fieldType(s *jsonschema.Schema) (FieldType, []Option, bool) {
	if s.Enum != nil {
		return FieldSelect, options(s.Enum.Values), true
	}
	if titled := titledOptions(s); titled != nil {
		return FieldSelect, titled, true
	}
	if s.Types == nil {
		if len(s.Properties) > 0 {
			return FieldTextarea, nil, true
		}
		return FieldString, nil, false
	}
	types := s.Types.ToStrings()
	has := func(name string) bool { return slices.Contains(types, name) }
	switch {
	case has("string"):
		if s.Format != nil && s.Format.Name == formatTextarea {
			return FieldTextarea, nil, true
		}
		return FieldString, nil, true
	case has("boolean"):
		return FieldBoolean, nil, true
	case has("integer"), has("number"):
		return FieldNumber, nil, true
	case has("array"):
		return arrayType(s)
	case has("object"):
		return FieldTextarea, nil, true
	}
	return FieldString, nil, false
}

func arrayType(s *jsonschema.Schema) (FieldType, []Option, bool) {
	if s.Items2020 == nil {
		return FieldMultiselect, nil, true
	}
	for _, item := range applying(s.Items2020) {
		switch t, options, _ := fieldType(item); t {
		case FieldSelect:
			return FieldMultiselect, options, true
		case FieldTextarea, FieldMultiselect:
			return FieldTextarea, nil, true
		}
	}
	return FieldMultiselect, nil, true
}

func options(values []any) []Option {
	all := make([]Option, 0, len(values))
	for _, v := range values {
		if v == nil {
			continue // an optional field is left empty instead
		}
		all = append(all, Option{fmt.Sprint(v), encode(v)})
	}
	return all
}

// titledOptions reads a oneOf (or anyOf) of constants with titles.
func titledOptions(s *jsonschema.Schema) []Option {
	alternatives := s.OneOf
	if len(alternatives) == 0 {
		alternatives = s.AnyOf
	}
	var all []Option
	for _, a := range alternatives {
		if a.Const == nil {
			return nil
		}
		option := Option{a.Title, encode(*a.Const)}
		if option.Label == "" {
			option.Label = fmt.Sprint(*a.Const)
		}
		all = append(all, option)
	}
	return all
}

// label returns the words of a name: of "apiKey", "api_key" and "api-key" it is
// "Api Key", of "baseURL" "Base URL".
func label(name string) string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			word[0] = unicode.ToUpper(word[0])
			words = append(words, string(word))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if r == '_' || r == '-' || r == '.' || unicode.IsSpace(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			ends := !unicode.IsUpper(runes[i-1])
			begins := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if ends || begins {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return strings.Join(words, " ")
}
