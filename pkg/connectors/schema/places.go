package schema

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxPlaces is how many places of documents a schema may describe: references can make
// a small schema describe exponentially many.
const maxPlaces = 100_000

var errTooManyPlaces = errors.New("it describes too many places")

// applying returns the schemas that apply to a place whenever the given ones do:
// themselves, and those that they refer to by $ref, allOf, and "this or null". In that
// order, each once.
func applying(schemas ...*jsonschema.Schema) []*jsonschema.Schema {
	all := make([]*jsonschema.Schema, 0, len(schemas)+1)
	var add func(s *jsonschema.Schema)
	add = func(s *jsonschema.Schema) {
		if slices.Contains(all, s) {
			return
		}
		all = append(all, s)
		if s.Ref != nil {
			add(s.Ref)
		}
		for _, each := range s.AllOf {
			add(each)
		}
		for _, alternatives := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
			if only := besidesNull(alternatives); only != nil {
				add(only)
			}
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return all
}

// besidesNull returns the other alternative where one of two is null, else nil.
func besidesNull(alternatives []*jsonschema.Schema) *jsonschema.Schema {
	if len(alternatives) != 2 {
		return nil
	}
	for i, s := range alternatives {
		if s.Types != nil && slices.Equal(s.Types.ToStrings(), []string{"null"}) {
			return alternatives[1-i]
		}
	}
	return nil
}

// alternatives returns every schema that may apply to the same place as s.
func alternatives(s *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(s.AllOf, s.AnyOf, s.OneOf)
	all = append(all, s.Ref, s.If, s.Then, s.Else)
	return slices.AppendSeq(all, maps.Values(s.DependentSchemas))
}

// anyStep in a path means every item or member.
const anyStep = "*"

// places returns the schemas of the places below one that s applies to, by step.
func places(s *jsonschema.Schema) map[string][]*jsonschema.Schema {
	below := map[string][]*jsonschema.Schema{}
	for name, property := range s.Properties {
		below[name] = append(below[name], property)
	}
	for i, item := range s.PrefixItems {
		below[strconv.Itoa(i)] = append(below[strconv.Itoa(i)], item)
	}
	below[anyStep] = slices.AppendSeq(below[anyStep], maps.Values(s.PatternProperties))
	below[anyStep] = append(below[anyStep], additional(s)...)
	below[anyStep] = append(below[anyStep], s.UnevaluatedProperties, s.Items2020, s.UnevaluatedItems, s.Contains)
	return below
}

// withDefaults yields the schemas whose defaults can be added to a document of the root
// schema, each once: all but those inside alternatives.
func withDefaults(root *jsonschema.Schema) iter.Seq[*jsonschema.Schema] {
	return func(yield func(*jsonschema.Schema) bool) {
		known := map[*jsonschema.Schema]bool{root: true}
		for open := []*jsonschema.Schema{root}; len(open) > 0; {
			s := open[len(open)-1]
			open = open[:len(open)-1]
			if !yield(s) {
				return
			}
			below := slices.Concat(applying(s), additional(s), s.PrefixItems, slices.Collect(maps.Values(s.Properties)))
			if s.Items2020 != nil {
				below = append(below, s.Items2020)
			}
			for _, each := range below {
				if !known[each] {
					known[each] = true
					open = append(open, each)
				}
			}
		}
	}
}

// propertyNames returns the names that the schemas list, sorted.
func propertyNames(schemas []*jsonschema.Schema) []string {
	names := map[string]bool{}
	for _, s := range schemas {
		for name := range s.Properties {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// memberSchemas returns the schemas of a member of an object.
func memberSchemas(schemas []*jsonschema.Schema, name string) (of []*jsonschema.Schema) {
	for _, s := range schemas {
		if property, ok := s.Properties[name]; ok {
			of = append(of, property)
		} else {
			of = append(of, additional(s)...)
		}
	}
	return of
}

// additional returns the schema of the members that s does not list, if it has one.
func additional(s *jsonschema.Schema) []*jsonschema.Schema {
	if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		return []*jsonschema.Schema{more}
	}
	return nil
}

// itemSchemas returns the schemas of an item of an array.
func itemSchemas(schemas []*jsonschema.Schema, i int) (of []*jsonschema.Schema) {
	for _, s := range schemas {
		if i < len(s.PrefixItems) {
			of = append(of, s.PrefixItems[i])
		} else if s.Items2020 != nil {
			of = append(of, s.Items2020)
		}
	}
	return of
}
