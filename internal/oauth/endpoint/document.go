package endpoint

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// decode reads JSON, or else a form, into maps, lists, strings and json.Number. ok is
// false for every other content. A byte order mark is ignored: to refuse it would lose
// a refresh token that the provider has rotated.
func decode(body []byte) (doc any, ok bool) {
	body = bytes.TrimSpace(jsondoc.TrimBOM(body))
	if len(body) == 0 || body[0] == '<' {
		return nil, false
	}
	if body[0] == '{' || body[0] == '[' {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if dec.Decode(&doc) != nil {
			return nil, false
		}
		return doc, true
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !bytes.ContainsRune(body, '=') {
		return nil, false
	}
	fields := map[string]any{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	return fields, true
}

// find returns the value of a name: at the path in fields, else at the first of its
// usual paths that has one.
func find(fields map[string]string, usual map[string][]string, name string, doc any) any {
	if path, ok := fields[name]; ok {
		return valueAt(doc, path)
	}
	for _, path := range usual[name] {
		if v := valueAt(doc, path); v != nil && v != "" {
			return v
		}
	}
	return nil
}

// valueAt returns the value at a dotted path, nil if there is none. A step into a list
// is an index; "" is doc itself.
func valueAt(doc any, path string) any {
	if path == "" {
		return doc
	}
	for step := range strings.SplitSeq(path, ".") {
		switch at := doc.(type) {
		case map[string]any:
			doc = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			doc = at[i]
		default:
			return nil
		}
	}
	return doc
}

// scalar returns a value as text, "" for objects, lists and null.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
