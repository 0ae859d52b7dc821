package schema

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// anyStep stands for every item or member in a secret's path.
const anyStep = "*"

// secretPaths walks over every place that the schema describes, alternatives
// included, and returns those that it marks secret.
func secretPaths(s *jsonschema.Schema) ([]string, error) {
	w := secretWalk{open: map[*jsonschema.Schema]bool{}}
	if err := w.visit(s, nil); err != nil {
		return nil, err
	}
	if w.recursive && len(w.found) > 0 {
		return nil, errors.New("a schema that contains itself cannot hold secrets")
	}
	// In a fixed order: every process has to come to the same paths.
	slices.SortFunc(w.found, slices.Compare)
	var pointers []string
	for _, path := range disjoint(slices.CompactFunc(w.found, slices.Equal)) {
		var pointer strings.Builder
		for _, step := range path {
			pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
		}
		pointers = append(pointers, pointer.String())
	}
	slices.Sort(pointers)
	return slices.Compact(pointers), nil
}

// mostPlaces bounds the walk: references can make a small schema describe
// exponentially many places.
const mostPlaces = 100_000

type secretWalk struct {
	open      map[*jsonschema.Schema]bool // schemas on the way from the root
	found     [][]string
	places    int
	recursive bool
}

func (w *secretWalk) visit(s *jsonschema.Schema, path []string) error {
	if s == nil {
		return nil
	}
	if w.open[s] {
		w.recursive = true
		return nil
	}
	if w.places++; w.places > mostPlaces {
		return errors.New("it describes too many places")
	}
	if s.DraftVersion != 2020 {
		return errors.New("a part of it uses another draft than 2020-12")
	}
	if s.DynamicRef != nil {
		return errors.New("$dynamicRef is not supported")
	}
	if marksSecret(s) {
		w.found = append(w.found, slices.Clone(path))
		return nil
	}
	w.open[s] = true
	defer delete(w.open, s)
	for _, same := range alternatives(s) {
		if err := w.visit(same, path); err != nil {
			return err
		}
	}
	for step, below := range places(s) {
		for _, each := range below {
			if err := w.visit(each, append(slices.Clip(path), step)); err != nil {
				return err
			}
		}
	}
	return nil
}

// marksSecret reports whether the schema says that a value is a secret.
func marksSecret(s *jsonschema.Schema) bool {
	return s.WriteOnly || s.Format != nil && s.Format.Name == formatPassword
}

// alternatives returns every schema that may apply to the same place as s.
func alternatives(s *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(s.AllOf, s.AnyOf, s.OneOf)
	all = append(all, s.Ref, s.If, s.Then, s.Else)
	return slices.AppendSeq(all, maps.Values(s.DependentSchemas))
}

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

// disjoint widens paths until no two of them can match the same place, or one a
// place inside the other's: sealing twice could not be undone in one pass.
func disjoint(paths [][]string) [][]string {
	for {
		i, j, clash := clashing(paths)
		if !clash {
			return paths
		}
		short, long := paths[i], paths[j]
		if len(short) > len(long) {
			short, long = long, short
		}
		wider := make([]string, len(short))
		for at := range short {
			wider[at] = short[at]
			if short[at] != long[at] {
				wider[at] = anyStep
			}
		}
		paths = slices.Delete(slices.Clone(paths), j, j+1)
		paths[i] = wider
	}
}

// clashing returns the first two paths, i < j, of which one may lead to, or
// through, the end of the other.
func clashing(paths [][]string) (i, j int, _ bool) {
	for i, a := range paths {
		for j, b := range paths[:i] {
			clash := true
			for at := range min(len(a), len(b)) {
				if a[at] != b[at] && a[at] != anyStep && b[at] != anyStep {
					clash = false
					break
				}
			}
			if clash {
				return j, i, true
			}
		}
	}
	return 0, 0, false
}
