package schema

import (
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// IsObject reports whether only objects are valid.
func (s *Schema) IsObject() bool {
	return slices.ContainsFunc(applying(s.compiled), func(each *jsonschema.Schema) bool {
		return each.Types != nil && slices.Equal(each.Types.ToStrings(), []string{"object"})
	})
}

// AllowsField reports whether a document may have the field at the dotted path: the schema
// describes it, or allows members that it does not describe.
func (s *Schema) AllowsField(path string) bool {
	here := applying(s.compiled)
	for name := range strings.SplitSeq(path, ".") {
		below := propertySchemas(here, name)
		if len(below) == 0 {
			return !slices.ContainsFunc(here, func(each *jsonschema.Schema) bool { return each.AdditionalProperties == false })
		}
		here = applying(below...)
	}
	return true
}

// propertySchemas returns the schemas of a property.
func propertySchemas(here []*jsonschema.Schema, name string) (members []*jsonschema.Schema) {
	for _, each := range here {
		if property, ok := each.Properties[name]; ok {
			members = append(members, property)
		}
	}
	return members
}

// enumerations returns the schemas of a field that list all values that it may have.
func (s *Schema) enumerations(path string) []*jsonschema.Schema {
	here := applying(s.compiled)
	for name := range strings.SplitSeq(path, ".") {
		here = applying(propertySchemas(here, name)...)
	}
	return slices.DeleteFunc(here, func(each *jsonschema.Schema) bool { return each.Enum == nil && each.Const == nil })
}

// Enumerates reports whether the schema lists all values that a field may have.
func (s *Schema) Enumerates(path string) bool { return len(s.enumerations(path)) > 0 }

// AllowsValue reports whether a decoded value is among those that the schema lists for
// the field. It is true where the schema lists none.
func (s *Schema) AllowsValue(path string, value any) bool {
	for _, enumeration := range s.enumerations(path) {
		if enumeration.Validate(value) != nil {
			return false
		}
	}
	return true
}
