package jsondoc

import (
	"bytes"
	"iter"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is a value inside a text that [Parse] has accepted. The zero Value is
// absent: it has no kind, no members and no elements.
type Value struct {
	Raw    []byte // its text, without surrounding space; shares memory with the parsed text
	Offset int    // of Raw in the parsed text, in bytes
}

// Parse returns the one value of the text. Names may occur twice in an object,
// and strings may hold invalid UTF-8, as for encoding/json. The error is an
// [*Error].
func Parse(text []byte) (Value, error) {
	d := newLenient(text)
	value, err := d.next(0)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return Value{}, d.describe(err)
	}
	return value, nil
}

func newLenient(text []byte) decoder {
	return decoder{jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
}

// next reads the next value of a text that begins at base.
func (d decoder) next(base int) (Value, error) {
	raw, err := d.ReadValue()
	return Value{Raw: raw, Offset: base + int(d.InputOffset()) - len(raw)}, err
}

// Kind returns the first byte of the value, '0' for every number: one of n t f
// " 0 { [; 0 if the value is absent.
func (v Value) Kind() byte { return byte(jsontext.Value(v.Raw).Kind()) }

// Members returns the names and values of an object, in order, including names
// that occur twice. For other values it is empty.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != '{' {
			return
		}
		d := newLenient(v.Raw)
		// No errors below: Parse has accepted the text.
		_, _ = d.ReadToken()
		for d.PeekKind() != jsontext.KindEndObject {
			token, _ := d.ReadToken()
			name := token.String()
			value, err := d.next(v.Offset)
			if err != nil || !yield(name, value) {
				return
			}
		}
	}
}

// Elements returns the indices and values of an array. For other values it is
// empty.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != '[' {
			return
		}
		d := newLenient(v.Raw)
		_, _ = d.ReadToken()
		for i := 0; d.PeekKind() != jsontext.KindEndArray; i++ {
			value, err := d.next(v.Offset)
			if err != nil || !yield(i, value) {
				return
			}
		}
	}
}

// Find returns the value at a path of member names and element indices, an absent
// one if there is none. Of members with the same name it uses the last, as
// encoding/json does.
func (v Value) Find(path ...string) Value {
	for _, step := range path {
		switch v.Kind() {
		case '{':
			v = v.member(step)
		case '[':
			v = v.element(step)
		default:
			return Value{}
		}
	}
	return v
}

// member compares the texts of names: it decodes only those with escapes.
func (v Value) member(name string) (found Value) {
	d := newLenient(v.Raw)
	_, _ = d.ReadToken()
	for d.PeekKind() != jsontext.KindEndObject {
		key, _ := d.next(0)
		value, err := d.next(v.Offset)
		if err != nil {
			return Value{}
		}
		if plain := key.Raw[1 : len(key.Raw)-1]; string(plain) == name || bytes.IndexByte(plain, '\\') >= 0 && key.Unquote() == name {
			found = value
		}
	}
	return found
}

func (v Value) element(index string) Value {
	for i, element := range v.Elements() {
		if strconv.Itoa(i) == index {
			return element
		}
	}
	return Value{}
}

// Unquote returns the content of a string; "" for other values. Invalid UTF-8
// becomes U+FFFD.
func (v Value) Unquote() string {
	if v.Kind() != '"' {
		return ""
	}
	text, _ := jsontext.AppendUnquote(nil, v.Raw)
	return string(text)
}
