package schema

import (
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// SecretPaths returns the places of secrets (writeOnly, or format password): sorted JSON
// pointers (RFC 6901) in which the step "*" means every item of an array or every member
// of an object. No place is matched by two of them.
func (s *Schema) SecretPaths() []string {
	if s == nil {
		return nil
	}
	return slices.Clone(s.secrets)
}

// secretPaths returns the places that the schema marks secret, those of alternatives
// included.
func secretPaths(s *jsonschema.Schema) ([]string, error) {
	w := secretWalk{open: map[*jsonschema.Schema]bool{}}
	if err := w.visit(s, nil); err != nil {
		return nil, err
	}
	if w.recursive && len(w.found) > 0 {
		return nil, errors.New("a schema that contains itself cannot have secrets")
	}
	// Sorted first, because every process has to compute the same paths.
	slices.SortFunc(w.found, slices.Compare)
	var pointers []string
	for _, path := range disjoint(slices.CompactFunc(w.found, slices.Equal)) {
		var pointer strings.Builder
		for _, step := range path {
			pointer.WriteString("/" + escapePointer.Replace(step))
		}
		pointers = append(pointers, pointer.String())
	}
	slices.Sort(pointers)
	return slices.Compact(pointers), nil
}

type secretWalk struct {
	open      map[*jsonschema.Schema]bool // schemas between the root and this place
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
	if w.places++; w.places > maxPlaces {
		return errTooManyPlaces
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

// marksSecret reports whether the schema marks its value as a secret.
func marksSecret(s *jsonschema.Schema) bool {
	return s.WriteOnly || s.Format != nil && s.Format.Name == formatPassword
}

// disjoint replaces steps by * until no two paths can match the same place, or one a place
// inside the other's: a value that is sealed twice could not be opened in one pass.
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

// clashing returns the first two paths, i < j, of which one may match the place of the
// other, or a place inside it.
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

// IsSecret reports whether the field at the dotted path is a secret, or inside one.
func (s *Schema) IsSecret(path string) bool {
	whole, _ := secretAt(s.secrets, strings.Split(path, "."))
	return whole
}

// secretAt reports whether the place is a secret (or inside one), and whether
// there are secrets inside it.
func secretAt(pointers []string, steps []string) (whole, inside bool) {
	for _, pointer := range pointers {
		marked := pointerSteps(pointer)
		same := true
		for i := range min(len(marked), len(steps)) {
			same = same && (marked[i] == anyStep || marked[i] == steps[i])
		}
		whole = whole || same && len(marked) <= len(steps)
		inside = inside || same && len(marked) > len(steps)
	}
	return whole, inside
}

// Steps of JSON pointers are escaped (RFC 6901 section 4).
var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// pointerSteps splits a JSON pointer.
func pointerSteps(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(pointer[1:], "/")
	for i := range steps {
		steps[i] = unescapePointer.Replace(steps[i])
	}
	return steps
}

// SecretDefault returns the dotted path of a secret that has a default, "" if
// there is none. An empty default is none.
func (s *Schema) SecretDefault() string {
	found := ""
	type visited struct {
		schema *jsonschema.Schema
		inside bool
	}
	seen := map[visited]bool{}
	var visit func(each *jsonschema.Schema, path string, inside bool)
	visit = func(each *jsonschema.Schema, path string, inside bool) {
		if each == nil || found != "" {
			return
		}
		inside = inside || marksSecret(each)
		if seen[visited{each, inside}] {
			return
		}
		seen[visited{each, inside}] = true
		if inside && each.Default != nil && *each.Default != nil && *each.Default != "" {
			found = strings.TrimPrefix(path, ".")
			return
		}
		for _, same := range alternatives(each) {
			visit(same, path, inside)
		}
		for step, below := range places(each) {
			for _, b := range below {
				visit(b, path+"."+step, inside)
			}
		}
	}
	visit(s.compiled, "", false)
	return found
}
