package connection

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/hawser-io/hawser/internal/records"
)

// mergePatch lays a JSON merge patch (RFC 7396) over target: members of objects
// replace, null removes, what is no object replaces the whole. target nil is
// absent. Both are JSON; numbers keep their digits.
//
// shown is target as its owner gets to see it, with its secrets masked, or nil. A
// mask that comes back unchanged is not a new secret: the secret stays. So a form
// can send back what it was filled with.
func mergePatch(target, patch, shown json.RawMessage) (json.RawMessage, error) {
	from, ok := members(patch)
	if !ok {
		return patch, nil
	}
	into, ok := members(target)
	if !ok {
		into = map[string]json.RawMessage{}
	}
	masks, _ := members(shown)
	for name, value := range from {
		if isNull(value) {
			delete(into, name)
			continue
		}
		if isMask(masks[name], into[name]) && same(masks[name], value) {
			continue
		}
		merged, err := mergePatch(into[name], value, masks[name])
		if err != nil {
			return nil, err
		}
		into[name] = merged
	}
	return records.Marshal(into)
}

// isMask reports whether shown hides something of value.
func isMask(shown, value json.RawMessage) bool {
	return shown != nil && value != nil && !same(shown, value)
}

// same reports whether two texts are the same JSON value.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	decode := func(text json.RawMessage) (v any, err error) {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		return v, dec.Decode(&v)
	}
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// members returns the members of a JSON object; false for anything else.
func members(value json.RawMessage) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if len(value) == 0 || json.Unmarshal(value, &object) != nil || object == nil {
		return nil, false
	}
	return object, true
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }
