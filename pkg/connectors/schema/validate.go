package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// mostErrors bounds what one document can make us write back.
const mostErrors = 256

// Validate checks a document and returns it with the defaults of the schema
// filled in, at every depth: a member that is absent from an object that is there
// gets its default. Members keep their order and numbers their digits; what was
// filled in comes last. The result may share memory with doc.
//
// It reports every error (up to 256), sorted by path, in English, without any
// value of the document. What is not strict JSON (invalid UTF-8, a member that
// occurs twice, a number that float64 cannot hold, more than 200 levels) is an
// error, too. Defaults inside patternProperties, and inside alternatives (anyOf,
// oneOf, if), are not applied.
func (s *Schema) Validate(doc []byte) (json.RawMessage, []FieldError) {
	parsed, bad := parseDocument(string(doc))
	if bad != nil {
		return nil, []FieldError{bad.field()}
	}
	doc = bytes.TrimSpace(doc)
	if s == nil || s.compiled == nil {
		return doc, nil
	}
	if s.defaults != nil {
		if filled, changed := s.defaults.fill(&parsed); changed {
			doc = []byte(filled)
			if parsed, bad = parseDocument(filled); bad != nil {
				return nil, []FieldError{bad.field()}
			}
		}
	}
	// Nearly every document is valid, and the quick check is many times faster.
	// It only ever says "valid for certain"; all else is decided here.
	if s.quick != nil && s.quick.passes(&parsed, 0, 0) {
		return doc, nil
	}
	if wrong := s.check(&parsed); wrong != nil {
		return nil, fieldErrors(wrong)
	}
	return doc, nil
}

// check runs the full validator.
func (s *Schema) check(d *document) *jsonschema.ValidationError {
	err := s.compiled.Validate(d.value(0))
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		panic("schema: the validator returned " + err.Error())
	}
	return wrong
}

// ValidateOutput is Validate for what a handler made. A nil slice of Go is null in
// JSON; where the schema wants a list, and nothing else is wrong with the document,
// null becomes the empty list.
func (s *Schema) ValidateOutput(doc []byte) (json.RawMessage, []FieldError) {
	out, wrong := s.Validate(doc)
	if wrong == nil || s == nil || !bytes.Contains(doc, []byte("null")) {
		return out, wrong
	}
	parsed, bad := parseDocument(string(doc))
	if bad != nil {
		return nil, wrong
	}
	failure := s.check(&parsed)
	if failure == nil {
		return nil, wrong // it was broken by a default, which lies elsewhere
	}
	var lists []splice
	for _, leaf := range leaves(failure) {
		mismatch, ok := leaf.ErrorKind.(*kind.Type)
		if !ok || mismatch.Got != "null" || !slices.Equal(mismatch.Want, []string{"array"}) {
			return nil, wrong
		}
		at := parsed.find(leaf.InstanceLocation)
		lists = append(lists, splice{parsed.nodes[at].start, parsed.nodes[at].end, "[]"})
	}
	slices.SortFunc(lists, func(a, b splice) int { return int(a.start - b.start) })
	lists = slices.Compact(lists) // several schemas can say the same of one place
	if out, still := s.Validate([]byte(spliced(parsed.src, lists))); still == nil {
		return out, nil
	}
	return nil, wrong
}

// find follows the steps of a location that the validator reported.
func (d *document) find(location []string) int {
	at := 0
	for _, step := range location {
		if d.nodes[at].kind == objectNode {
			at, _ = d.member(at, step)
			continue
		}
		index, _ := strconv.Atoi(step)
		for child := range d.children(at) {
			if index--; index < 0 {
				at = child
				break
			}
		}
	}
	return at
}

// A splice replaces src[start:end].
type splice struct {
	start, end int32
	text       string
}

// spliced returns src with the splices, which are in order, done.
func spliced(src string, splices []splice) string {
	var b strings.Builder
	size := len(src)
	for _, s := range splices {
		size += len(s.text)
	}
	b.Grow(size)
	from := int32(0)
	for _, s := range splices {
		b.WriteString(src[from:s.start])
		b.WriteString(s.text)
		from = s.end
	}
	b.WriteString(src[from:])
	return b.String()
}
