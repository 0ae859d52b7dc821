package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/hawser-io/hawser/pkg/secret"
)

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

// edit replaces each value at the steps by what change returns for it.
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
