package crypto

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// edit returns the JSON text that replaces the value at the concrete pointer.
type edit func(value jsondoc.Value, pointer string) ([]byte, error)

// editFields returns a copy of doc in which every value that a pointer leads to
// is edited. Pointers are RFC 6901; the token "*" stands for every element and
// every member. Nulls are not edited. Pointers into an edited value have no
// effect. Everything else stays byte for byte: order, spaces, the digits of
// numbers, members that occur twice (each is edited). Decoding into maps would
// lose all that.
//
// The error is that of edit, or an [*Error] of the operation with [ErrPointer] or
// [ErrDocument].
func editFields(op string, doc []byte, pointers []string, f edit) ([]byte, error) {
	paths := make([][]string, len(pointers))
	for i, pointer := range pointers {
		if err := checkPointer(pointer); err != nil {
			return nil, &Error{Op: op, Reason: fmt.Errorf("%w: %q", err, pointer)}
		}
		paths[i] = slices.Collect(jsontext.Pointer(pointer).Tokens())
	}
	if !utf8.Valid(doc) {
		return nil, &Error{Op: op, Reason: fmt.Errorf("%w: it is not UTF-8", ErrDocument)}
	}
	root, err := jsondoc.Parse(doc)
	if bad, ok := errors.AsType[*jsondoc.Error](err); ok {
		return nil, &Error{Op: op, Reason: fmt.Errorf("%w: byte %d", ErrDocument, bad.Offset)}
	}
	e := editor{doc: doc, edit: f, out: make([]byte, 0, len(doc)+80*len(pointers))}
	if err := e.value(root, paths, ""); err != nil {
		return nil, err
	}
	return append(e.out, doc[e.copied:]...), nil
}

// checkPointer returns [ErrPointer] for text that is no JSON pointer.
func checkPointer(pointer string) error {
	if !jsontext.Pointer(pointer).IsValid() {
		return ErrPointer
	}
	return nil
}

// editor is one call of editFields.
type editor struct {
	doc    []byte
	edit   edit
	out    []byte // edited copy of doc[:copied]
	copied int
}

// value edits v, which is at the concrete pointer, or what the paths lead to
// below it.
func (e *editor) value(v jsondoc.Value, paths [][]string, pointer jsontext.Pointer) error {
	if slices.ContainsFunc(paths, func(path []string) bool { return len(path) == 0 }) {
		return e.replace(v, string(pointer))
	}
	for name, member := range v.Members() {
		if err := e.child(name, member, paths, pointer); err != nil {
			return err
		}
	}
	for i, element := range v.Elements() {
		if err := e.child(strconv.Itoa(i), element, paths, pointer); err != nil {
			return err
		}
	}
	return nil
}

// child edits the member or element called name of the value at pointer.
func (e *editor) child(name string, v jsondoc.Value, paths [][]string, pointer jsontext.Pointer) error {
	var below [][]string
	for _, path := range paths {
		if path[0] == "*" || path[0] == name {
			below = append(below, path[1:])
		}
	}
	if below == nil {
		return nil
	}
	return e.value(v, below, pointer.AppendToken(name))
}

func (e *editor) replace(v jsondoc.Value, pointer string) error {
	if v.Kind() == 'n' {
		return nil
	}
	text, err := e.edit(v, pointer)
	if err != nil {
		return err
	}
	e.out = append(append(e.out, e.doc[e.copied:v.Offset]...), text...)
	e.copied = v.Offset + len(v.Raw)
	return nil
}

// isValue reports whether text is one JSON value in UTF-8 and nothing around it.
func isValue(text []byte) bool {
	v, err := jsondoc.Parse(text)
	return err == nil && len(v.Raw) == len(text) && utf8.Valid(text)
}
