package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// Validate checks a document and returns it with the defaults of the schema: a member
// that is absent from an object that is present gets its default, at every depth.
// Numbers keep their digits, but integers are written without fraction and exponent, as Go
// decodes them: 1000.0 as 1000. The order of members is kept where nothing was changed.
// The result may share memory with doc.
//
// It reports every error (up to 256), sorted by path, in English, without any
// value of the document. What is not strict JSON (see [jsondoc.Decode]) is an
// error, too. Defaults inside patternProperties, and inside alternatives (anyOf,
// oneOf, if), are not applied.
func (s *Schema) Validate(doc []byte) (json.RawMessage, []FieldError) {
	return s.validate(doc, false)
}

// ValidateOutput is Validate for what a Go handler returned, whose nil slices are null
// in JSON: where the schema requires an array, and nothing else is wrong with the
// document, null becomes an empty array.
func (s *Schema) ValidateOutput(doc []byte) (json.RawMessage, []FieldError) {
	return s.validate(doc, true)
}

func (s *Schema) validate(doc []byte, fromGo bool) (json.RawMessage, []FieldError) {
	value, wrong := Decode(doc)
	if wrong != nil {
		return nil, []FieldError{*wrong}
	}
	doc = bytes.TrimSpace(doc)
	if s == nil || s.compiled == nil {
		return doc, nil
	}
	changed := false
	if s.hasDefaults {
		f := filler{}
		if err := f.fill([]*jsonschema.Schema{s.compiled}, value, nil); err != nil {
			return nil, []FieldError{{Message: err.Error()}}
		}
		changed = f.changed
	}
	failure := check(s.compiled, value)
	if failure != nil && fromGo {
		if root, ok := emptyArrays(value, failure); ok && check(s.compiled, root) == nil {
			value, changed, failure = root, true, nil
		}
	}
	if failure != nil {
		return nil, fieldErrors(failure)
	}
	if hasOddNumber(value) {
		var rewritten bool
		value, rewritten = withIntegers([]*jsonschema.Schema{s.compiled}, value)
		changed = changed || rewritten
	}
	if changed {
		return encode(value), nil
	}
	return doc, nil
}

// check validates a decoded value. It returns nil if the value is valid.
func check(s *jsonschema.Schema, value any) *jsonschema.ValidationError {
	err := s.Validate(value)
	if err == nil {
		return nil
	}
	failure, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		panic("schema: the validator returned " + err.Error())
	}
	return failure
}

// emptyArrays replaces each null that failed because an array is required. It returns
// the changed root, and false if anything else is wrong.
func emptyArrays(root any, failure *jsonschema.ValidationError) (any, bool) {
	failures := leaves(failure)
	for _, leaf := range failures {
		mismatch, ok := leaf.ErrorKind.(*kind.Type)
		if !ok || mismatch.Got != "null" || !slices.Equal(mismatch.Want, []string{"array"}) {
			return nil, false
		}
	}
	for _, leaf := range failures {
		root = withEmptyArray(root, leaf.InstanceLocation)
	}
	return root, true
}

// withEmptyArray returns the value with an empty array at the location.
func withEmptyArray(value any, location []string) any {
	if len(location) == 0 {
		return []any{}
	}
	step, rest := location[0], location[1:]
	switch v := value.(type) {
	case map[string]any:
		v[step] = withEmptyArray(v[step], rest)
	case []any:
		if i, err := strconv.Atoi(step); err == nil {
			v[i] = withEmptyArray(v[i], rest)
		}
	}
	return value
}

// Decode returns the value of a document as [jsondoc.Decode] does.
func Decode(doc []byte) (any, *FieldError) {
	value, err := jsondoc.Decode(doc)
	if err == nil {
		return value, nil
	}
	bad, ok := errors.AsType[*jsondoc.Error](err)
	if !ok {
		panic("schema: the JSON reader returned " + err.Error())
	}
	return nil, &FieldError{Path: joinPath(bad.Path), Message: bad.Reason}
}

// encode returns the JSON of a decoded value, without HTML escapes.
func encode(value any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(fmt.Sprintf("schema: a decoded JSON value does not encode: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// maxName is how many bytes of a name a path shows: names come from outside.
const maxName = 64

// joinPath returns a path in the form of [FieldError.Path].
func joinPath(path []string) string {
	short := slices.Clone(path)
	for i, name := range short {
		if len(name) > maxName {
			short[i] = strings.ToValidUTF8(name[:maxName], "") + "…"
		}
	}
	return strings.Join(short, ".")
}
