package connectors

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// configValues is a decoded connection config: an object of encoding/json's types, with
// json.Number for numbers.
type configValues map[string]any

// decodeConfig decodes a config. An empty text is an empty object; so is what is no object.
func decodeConfig(config []byte) (configValues, *schema.FieldError) {
	value, wrong := schema.Decode(orEmptyObject(config))
	if wrong != nil {
		return nil, wrong
	}
	object, _ := value.(map[string]any)
	return object, nil
}

func orEmptyObject(document json.RawMessage) json.RawMessage {
	if len(bytes.TrimSpace(document)) == 0 {
		return json.RawMessage("{}")
	}
	return document
}

// lookup returns the value at a dotted path through objects.
func (c configValues) lookup(path string) (any, bool) {
	var value any = map[string]any(c)
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		member, found := object[name]
		if !found {
			return nil, false
		}
		value = member
	}
	return value, true
}

// text returns a single value of the config as text, "" if it is absent or null. It
// fails for objects and lists, and for control characters, which could begin a new
// header or request line.
func (c configValues) text(path string) (string, *schema.FieldError) {
	value, _ := c.lookup(path)
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", &schema.FieldError{Path: path, Message: "must not contain line breaks or other control characters"}
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return v.String(), nil
	default:
		return "", &schema.FieldError{Path: path, Message: "must be a single value"}
	}
}
