package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/hawser-io/hawser/pkg/secret"
)

// For derives the schema of T, a struct as a rule, from its fields:
//   - names from json tags; unknown members are not allowed;
//   - required, unless the json tag says omitempty or omitzero, or there is a default;
//   - a pointer without either may be null, as a nil pointer is in JSON;
//   - jsonschema tags: title, description, enum (repeated), default, minimum, maximum,
//     minLength, maxLength, pattern, format, minItems … , separated by commas ("\\,"
//     inside a value); jsonschema_description for long texts;
//   - a [Secret] is a string marked writeOnly, format password; time.Time has format
//     date-time; other types that marshal as text are strings;
//   - a type can bring its own schema by a method JSONSchema() *jsonschema.Schema
//     (github.com/invopop/jsonschema).
//
// It panics if T has no JSON form or a tag makes a bad schema: that is a bug of
// the program, found when it starts.
func For[T any]() *Schema {
	t := reflect.TypeFor[T]()
	doc, err := reflected(t)
	if err != nil {
		panic(fmt.Sprintf("schema.For[%s]: %v", t, err))
	}
	s, err := Parse(doc)
	if err != nil {
		panic(fmt.Sprintf("schema.For[%s]: %v", t, err))
	}
	return s
}

// reflected returns the schema document of a type.
func reflected(t reflect.Type) ([]byte, error) {
	names := typeNamer{names: map[reflect.Type]string{}, taken: map[string]bool{}}
	r := jsonschema.Reflector{Anonymous: true, Mapper: mapType, Namer: names.name, AdditionalFields: nullableFields}
	s := r.ReflectFromType(t)
	eachSchema(s, requireWithoutDefault)
	expandRoot(s)
	return json.Marshal(s)
}

// mapType returns the schema of types whose JSON differs from their Go structure.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[secret.Text]():
		return &jsonschema.Schema{Type: "string", Format: formatPassword, WriteOnly: true}
	case reflect.TypeFor[json.Number]():
		return &jsonschema.Schema{Type: "number"}
	case reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	}
	if has[interface{ JSONSchema() *jsonschema.Schema }](t) || has[json.Marshaler](t) {
		return nil
	}
	if has[encoding.TextMarshaler](t) {
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// nullableFields returns the fields that a nil pointer makes null, with the tag that says
// so; each replaces the field of its name.
func nullableFields(t reflect.Type) (fields []reflect.StructField) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("jsonschema")
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type.Kind() != reflect.Pointer || f.Anonymous || !f.IsExported() || strings.Contains(options, "omit") || options == "inline" ||
			slices.ContainsFunc(strings.Split(tag, ","), func(s string) bool { return s == "nullable" || s == "-" || strings.HasPrefix(s, "default=") }) {
			continue
		}
		f.Tag = reflect.StructTag(strings.TrimSpace(fmt.Sprintf(`%s jsonschema:%s`, withoutKey(f.Tag, tag), strconv.Quote(strings.TrimPrefix(tag+",nullable", ",")))))
		fields = append(fields, f)
	}
	return fields
}

// withoutKey returns a struct tag without its key jsonschema.
func withoutKey(tag reflect.StructTag, value string) string {
	return strings.Replace(string(tag), "jsonschema:"+strconv.Quote(value), "", 1)
}

// has reports whether t, or a pointer to it, implements I.
func has[I any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[I]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[I]())
}

// typeNamer returns a unique name for every named type, without characters that JSON
// pointers escape.
type typeNamer struct {
	names map[reflect.Type]string
	taken map[string]bool
}

func (n *typeNamer) name(t reflect.Type) string {
	if name, ok := n.names[t]; ok || t.Name() == "" {
		return name
	}
	base, _, _ := strings.Cut(t.Name(), "[") // type arguments are package paths
	name := base
	for i := 2; n.taken[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	n.names[t], n.taken[name] = name, true
	return name
}

// eachSchema calls f for the schema and every one inside it.
func eachSchema(s *jsonschema.Schema, f func(*jsonschema.Schema)) {
	if s == nil {
		return
	}
	f(s)
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			eachSchema(p.Value, f)
		}
	}
	for _, definition := range s.Definitions {
		eachSchema(definition, f)
	}
	for _, p := range s.PatternProperties {
		eachSchema(p, f)
	}
	eachSchema(s.Items, f)
	eachSchema(s.AdditionalProperties, f)
	for _, alternative := range s.OneOf {
		eachSchema(alternative, f)
	}
}

// requireWithoutDefault makes properties with a default optional.
func requireWithoutDefault(s *jsonschema.Schema) {
	if s.Properties == nil {
		return
	}
	s.Required = slices.DeleteFunc(s.Required, func(name string) bool {
		p, ok := s.Properties.Get(name)
		return ok && p.Default != nil
	})
}

// expandRoot replaces a root that is a reference by its definition, so that the properties
// are at the top of the document.
func expandRoot(s *jsonschema.Schema) {
	name, ok := strings.CutPrefix(s.Ref, "#/$defs/")
	definition := s.Definitions[name]
	if !ok || definition == nil {
		return
	}
	definitions, version := s.Definitions, s.Version
	delete(definitions, name)
	*s = *definition
	s.Version, s.Definitions = version, definitions
	if len(definitions) == 0 {
		s.Definitions = nil
	}
	eachSchema(s, func(each *jsonschema.Schema) {
		if each.Ref == "#/$defs/"+name {
			each.Ref = "#"
		}
	})
}
