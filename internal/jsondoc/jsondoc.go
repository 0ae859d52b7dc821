// Package jsondoc reads JSON (RFC 8259) that has no Go struct: strictly, or in place.
//
// [Decode] is strict, so that no other reader can understand the text
// differently, and it preserves the digits of numbers. [Parse] accepts what
// encoding/json accepts, and finds values and their byte offsets without decoding
// the rest. Neither skips a byte order mark: see [TrimBOM].
package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of [Decode]. [Parse] has only the limit of encoding/json, a depth of
// 10,000.
const (
	MaxDepth  = 200 // objects and arrays inside each other
	maxNumber = 128 // characters of a number
	// The validator's exact arithmetic would have to hold every zero of 1e9999.
	maxExponent = 3 // digits
)

// Error is why a text is refused. It quotes nothing of the text except the names
// in Path.
type Error struct {
	Path   []string // names and indices that lead to the value
	Offset int      // in bytes; the error is there or after it
	Reason string   // "occurs twice", for example
}

// Error returns the JSON pointer of the value, and the reason.
func (e *Error) Error() string {
	var pointer jsontext.Pointer
	for _, token := range e.Path {
		pointer = pointer.AppendToken(token)
	}
	if pointer == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s: %s", pointer, e.Reason)
}

// TrimBOM returns the text without a leading byte order mark. RFC 8259, section
// 8.1, lets a reader ignore it.
func TrimBOM(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// Decode returns the one value of the text, as encoding/json with UseNumber
// does: nil, bool, string, [json.Number], []any, map[string]any. It refuses
// names that occur twice in an object, invalid UTF-8, unpaired surrogates,
// numbers out of the range of float64, and values nested deeper than
// [MaxDepth]. The error is an [*Error].
func Decode(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, &Error{Reason: "is not valid UTF-8"}
	}
	d := decoder{jsontext.NewDecoder(bytes.NewBuffer(text))}
	value, err := d.value()
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, d.describe(err)
	}
	return value, nil
}

// decoder reads values from a text.
type decoder struct{ *jsontext.Decoder }

// errTrailing means that something follows the value.
var errTrailing = errors.New("something follows the value")

// end returns an error unless the text ends here.
func (d decoder) end() error {
	if _, err := d.ReadToken(); err != io.EOF {
		return errTrailing
	}
	return nil
}

func (d decoder) value() (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	if d.StackDepth() > MaxDepth {
		return nil, d.fail(fmt.Sprintf("is nested deeper than %d levels", MaxDepth))
	}
	switch token.Kind() {
	case jsontext.KindBeginObject:
		return d.object()
	case jsontext.KindBeginArray:
		return d.array()
	case jsontext.KindTrue, jsontext.KindFalse:
		return token.Bool(), nil
	case jsontext.KindString:
		return token.String(), nil
	case jsontext.KindNumber:
		number := token.String()
		if !inRange(number) {
			return nil, d.fail("is a number out of range")
		}
		return json.Number(number), nil
	}
	return nil, nil
}

// object reads the members of an object whose opening brace has been read.
func (d decoder) object() (any, error) {
	members := map[string]any{}
	for d.PeekKind() != jsontext.KindEndObject {
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := token.String()
		if members[name], err = d.value(); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return members, err
}

// array reads the elements of an array whose opening bracket has been read.
func (d decoder) array() (any, error) {
	elements := []any{}
	for d.PeekKind() != jsontext.KindEndArray {
		element, err := d.value()
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err := d.ReadToken()
	return elements, err
}

// fail returns an error about the value that was read last.
func (d decoder) fail(reason string) *Error {
	return &Error{Path: slices.Collect(d.StackPointer().Tokens()), Offset: int(d.InputOffset()), Reason: reason}
}

// describe returns an [*Error] for errors of jsontext, which quote the text.
func (d decoder) describe(err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	e := &Error{Offset: int(d.InputOffset())}
	if at, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Path, e.Offset = slices.Collect(at.JSONPointer.Tokens()), int(at.ByteOffset)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		e.Reason = "occurs twice"
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		e.Reason = fmt.Sprintf("is not valid JSON: it ends too early, at byte %d", e.Offset)
	case err == errTrailing:
		e.Reason = fmt.Sprintf("is not valid JSON: %v, at byte %d", err, e.Offset)
	default:
		e.Reason = fmt.Sprintf("is not valid JSON: unexpected text at byte %d", e.Offset)
	}
	return e
}

// inRange reports whether programs can agree on the value of the number.
func inRange(number string) bool {
	if len(number) <= 15 && !strings.ContainsAny(number, "eE") {
		return true
	}
	exponent := 0
	if at := strings.LastIndexAny(number, "eE"); at >= 0 {
		exponent = len(strings.TrimLeft(number[at+1:], "+-"))
	}
	_, err := strconv.ParseFloat(number, 64)
	return err == nil && len(number) <= maxNumber && exponent <= maxExponent
}
