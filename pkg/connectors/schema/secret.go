package schema

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/pkg/secret"
)

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
			pointer.WriteString("/" + escapePointer.Replace(step))
		}
		pointers = append(pointers, pointer.String())
	}
	slices.Sort(pointers)
	return slices.Compact(pointers), nil
}

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

// marksSecret reports whether the schema says that a value is a secret.
func marksSecret(s *jsonschema.Schema) bool {
	return s.WriteOnly || s.Format != nil && s.Format.Name == formatPassword
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

// IsSecret reports whether the field is sealed: it, or what it lies in, is a secret.
func (s *Schema) IsSecret(path string) bool {
	whole, _ := holdsSecret(s.secrets, strings.Split(path, "."))
	return whole
}

// holdsSecret reports whether the place is a secret (or lies in one), and whether
// there are secrets inside it.
func holdsSecret(pointers []string, steps []string) (whole, inside bool) {
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

// SecretValues returns the values of a document that the schema marks secret: strings
// and numbers, those inside secret objects and arrays included.
func (s *Schema) SecretValues(document []byte) (values []secret.Text) {
	if s == nil || len(s.secrets) == 0 {
		return nil
	}
	value, wrong := Decode(document)
	if wrong != nil {
		return nil
	}
	for _, pointer := range s.secrets {
		edit(value, pointerSteps(pointer), func(v any) any {
			values = appendScalars(values, v)
			return v
		})
	}
	return values
}

// appendScalars appends the strings and numbers of a decoded value.
func appendScalars(to []secret.Text, value any) []secret.Text {
	switch v := value.(type) {
	case string:
		if v != "" {
			to = append(to, secret.New(v))
		}
	case json.Number:
		to = append(to, secret.New(v.String()))
	case []any:
		for _, item := range v {
			to = appendScalars(to, item)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			to = appendScalars(to, v[name])
		}
	}
	return to
}

// WithoutSecrets returns the document without the values that the schema marks secret.
// In an array they become null, so that the other items keep their index. It returns nil
// for what is not JSON.
func (s *Schema) WithoutSecrets(document []byte) json.RawMessage {
	value, wrong := Decode(document)
	if wrong != nil {
		return nil
	}
	for _, pointer := range s.secrets {
		value = edit(value, pointerSteps(pointer), func(any) any { return removed{} })
	}
	return encode(value)
}

// removed is what [edit] deletes from objects, and replaces by null in arrays.
type removed struct{}

// edit replaces each value that the steps lead to by what change returns for it.
func edit(value any, steps []string, change func(any) any) any {
	if len(steps) == 0 {
		return change(value)
	}
	matches := func(step string) bool { return steps[0] == anyStep || steps[0] == step }
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !matches(name) {
				continue
			}
			v[name] = edit(v[name], steps[1:], change)
			if v[name] == (removed{}) {
				delete(v, name)
			}
		}
	case []any:
		for i := range v {
			if !matches(strconv.Itoa(i)) {
				continue
			}
			if v[i] = edit(v[i], steps[1:], change); v[i] == (removed{}) {
				v[i] = nil
			}
		}
	}
	return value
}
