// Package schema is JSON Schema (draft 2020-12) as connectors use it: schemas are derived
// from Go types ([For]) or parsed ([Parse]); they validate documents and add defaults, name
// the places of secrets, and describe the fields of a form.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	invopop "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// Schema is a compiled JSON Schema (draft 2020-12). It marshals as the schema
// document that it was made from. Formats are asserted; patterns are RE2 (Go's
// regexp), so they take linear time. References to other
// documents are refused; nothing is ever loaded.
//
// A schema never changes and is safe for concurrent use. A nil *Schema accepts
// every JSON document.
type Schema struct {
	doc         json.RawMessage // compact, members in the order of the source
	compiled    *jsonschema.Schema
	hasDefaults bool
	secrets     []string // JSON pointers, see SecretPaths
	fields      []Field
}

// schemaURL is the base URI of every schema document. It is never fetched: the name
// cannot exist (RFC 2606).
const schemaURL = "https://schema.invalid/"

// draft is the only supported dialect.
const draft = "https://json-schema.org/draft/2020-12/schema"

// Limits of a schema document. They bound what compiling a schema from outside can cost:
// some of it grows with the square of the size.
const (
	maxBytes  = 256 << 10
	maxValues = 5000
)

// Parse compiles a schema document of at most 256 KiB and 5,000 values. It fails for
// what is no schema of draft 2020-12, for defaults that break their own schema, and for
// secrets inside a schema that contains itself (they could be at any depth, so they
// could not all be sealed).
func Parse(doc []byte) (*Schema, error) {
	s, err := parse(doc)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

func parse(doc []byte) (*Schema, error) {
	if len(doc) > maxBytes {
		return nil, fmt.Errorf("is larger than %d KiB", maxBytes>>10)
	}
	value, wrong := Decode(doc)
	if wrong != nil {
		return nil, FieldErrors{*wrong}
	}
	if countValues(value) > maxValues {
		return nil, fmt.Errorf("has more than %d values", maxValues)
	}
	if root, ok := value.(map[string]any); ok {
		if dialect, ok := root["$schema"]; ok && dialect != draft && dialect != draft+"#" {
			return nil, fmt.Errorf("$schema: only %s is supported", draft)
		}
	}
	s := &Schema{doc: compact(doc)}
	var err error
	if s.compiled, err = compile(value); err != nil {
		return nil, err
	}
	if s.hasDefaults, err = checkDefaults(s.compiled); err != nil {
		return nil, err
	}
	if s.secrets, err = secretPaths(s.compiled); err != nil {
		return nil, err
	}
	source, err := jsondoc.Parse(doc)
	if err != nil {
		return nil, err
	}
	s.fields = formFields(s.compiled, s.secrets, propertyOrder(source))
	return s, nil
}

// countValues returns how many values a decoded value consists of.
func countValues(value any) int {
	n := 1
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			n += countValues(member)
		}
	case []any:
		for _, item := range v {
			n += countValues(item)
		}
	}
	return n
}

// compile compiles a decoded schema document.
func compile(value any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	for _, name := range []string{formatPassword, formatTextarea} {
		// Unknown formats would be missing in the compiled schema.
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error { return nil }})
	}
	if err := c.AddResource(schemaURL, value); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(schemaURL)
	if err == nil {
		return compiled, nil
	}
	if meta, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if wrong, ok := errors.AsType[*jsonschema.ValidationError](meta.Err); ok {
			return nil, FieldErrors(fieldErrors(wrong))
		}
	}
	return nil, err
}

// Formats of how a field is shown and stored. Any value is valid.
const (
	formatPassword = "password"
	formatTextarea = "textarea"
)

// noLoader refuses references to other documents: they could name internal addresses.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: references have to stay in the document", strings.TrimPrefix(url, schemaURL))
}

// compact returns doc, which is valid, without white space.
func compact(doc []byte) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		panic(fmt.Sprintf("schema: a decoded document is not JSON: %v", err))
	}
	return b.Bytes()
}

// MarshalJSON returns the schema document.
func (s *Schema) MarshalJSON() ([]byte, error) {
	if s.doc == nil {
		return []byte("true"), nil
	}
	return s.doc, nil
}

// JSONSchema is the schema of schemas: [Parse] says what is wrong with one.
func (Schema) JSONSchema() *invopop.Schema {
	return &invopop.Schema{Description: "A JSON Schema, draft 2020-12."}
}

// UnmarshalJSON parses by [Parse].
func (s *Schema) UnmarshalJSON(doc []byte) error {
	parsed, err := Parse(doc)
	if err != nil {
		return err
	}
	*s = *parsed
	return nil
}

// String returns the schema document.
func (s *Schema) String() string {
	if s == nil || s.doc == nil {
		return "true"
	}
	return string(s.doc)
}

// Equal reports whether both are the same document, byte for byte but for white
// space.
func (s *Schema) Equal(other *Schema) bool {
	if s == nil || other == nil {
		return s == other
	}
	return bytes.Equal(s.doc, other.doc)
}

// Fields returns the form fields of an object's schema, in the order in which the
// document lists its properties.
func (s *Schema) Fields() []Field {
	if s == nil {
		return nil
	}
	return slices.Clone(s.fields)
}
