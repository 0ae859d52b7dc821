package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/hawser-io/hawser/pkg/secret"
)

// For derives the schema of T, a struct as a rule, from its fields:
//   - names from json tags; unknown members are not allowed;
//   - required, unless the json tag says omitempty or omitzero, or there is a default;
//   - jsonschema tags: title, description, enum (repeated), default, minimum, maximum,
//     minLength, maxLength, pattern, format, minItems … , separated by commas ("\\,"
//     inside a value); jsonschema_description for long texts;
//   - a [Secret] is a string marked writeOnly, format password; time.Time has format
//     date-time; other types that marshal as text are strings;
//   - a type can bring its own schema by a method JSONSchema() *jsonschema.Schema
//     (github.com/invopop/jsonschema).
//
// It panics if T has no JSON form or a tag makes a bad schema: that is a mistake in
// the program, found when it starts.
func For[T any]() *Schema {
	t := reflect.TypeFor[T]()
	doc, err := reflected(t)
	if err != nil {
		panic(fmt.Sprintf("schema: schema of %s: %v", t, err))
	}
	s, err := Parse(doc)
	if err != nil {
		panic(fmt.Sprintf("schema: schema of %s: %v", t, err))
	}
	return s
}

// reflected returns the schema document of a type.
func reflected(t reflect.Type) ([]byte, error) {
	names := typeNamer{names: map[reflect.Type]string{}, taken: map[string]bool{}}
	r := jsonschema.Reflector{Anonymous: true, Mapper: mapType, Namer: names.name}
	s := r.ReflectFromType(t)
	tidy(s)
	expandRoot(s)
	return json.Marshal(s)
}

// mapType gives types whose JSON differs from their Go shape their schema.
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

// has reports whether t, or a pointer to it, implements I.
func has[I any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[I]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[I]())
}

// typeNamer gives every named type a name of its own that fits a JSON pointer.
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

// tidy visits every schema: what has a default is not required.
func tidy(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		var required []string
		for _, name := range s.Required {
			if p, ok := s.Properties.Get(name); !ok || p.Default == nil {
				required = append(required, name)
			}
		}
		s.Required = required
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			tidy(p.Value)
		}
	}
	for _, def := range s.Definitions {
		tidy(def)
	}
	for _, p := range s.PatternProperties {
		tidy(p)
	}
	tidy(s.Items)
	tidy(s.AdditionalProperties)
	for _, alternative := range s.OneOf {
		tidy(alternative)
	}
}

// expandRoot puts the definition that the root refers to in its place, so that a
// reader finds the properties at the top.
func expandRoot(s *jsonschema.Schema) {
	name, ok := strings.CutPrefix(s.Ref, "#/$defs/")
	def := s.Definitions[name]
	if !ok || def == nil {
		return
	}
	definitions, version := s.Definitions, s.Version
	delete(definitions, name)
	*s = *def
	s.Version, s.Definitions = version, definitions
	if len(definitions) == 0 {
		s.Definitions = nil
	}
	redirect(s, "#/$defs/"+name, "#")
}

// redirect changes references to from into references to to.
func redirect(s *jsonschema.Schema, from, to string) {
	if s == nil {
		return
	}
	if s.Ref == from {
		s.Ref = to
	}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			redirect(p.Value, from, to)
		}
	}
	for _, def := range s.Definitions {
		redirect(def, from, to)
	}
	for _, p := range s.PatternProperties {
		redirect(p, from, to)
	}
	redirect(s.Items, from, to)
	redirect(s.AdditionalProperties, from, to)
	for _, alternative := range s.OneOf {
		redirect(alternative, from, to)
	}
}
