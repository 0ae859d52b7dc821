package crypto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest, as in encoding/json.
const maxDepth = 10000

// edit appends to dst what is to stand in a document in place of value, which is
// JSON text and lies at the concrete pointer. It must not keep its arguments.
type edit func(dst, value, pointer []byte) ([]byte, error)

// editFields returns a copy of doc in which every value that one of the pointers
// leads to was edited. Nulls stay. Below a value that was edited, other pointers
// mean nothing. Everything else stays byte for byte: order, spaces, the text of
// numbers, members that occur twice (each is edited).
//
// Decoding into maps would lose all that and cost ten times as much: this is one
// pass over the bytes that also checks the grammar (RFC 8259) and UTF-8.
func editFields(doc []byte, pointers []string, f edit) ([]byte, error) {
	for _, pointer := range pointers {
		if err := checkPointer(pointer); err != nil {
			return nil, fmt.Errorf("%w: %q", err, pointer)
		}
	}
	if !utf8.Valid(doc) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrDocument)
	}
	w := walk{doc: doc, edit: f, out: make([]byte, 0, len(doc)+80*len(pointers))}
	w.rests = append(w.restsBuf[:0], pointers...)
	end, err := w.value(skipSpace(doc, 0), 0, 0)
	if err != nil {
		return nil, err
	}
	if end = skipSpace(doc, end); end != len(doc) {
		return nil, fault(end)
	}
	return append(w.out, doc[w.copied:]...), nil
}

// isValue reports whether text is one JSON value and nothing around it.
func isValue(text []byte) bool {
	w := walk{doc: text}
	end, err := w.value(0, 0, 0)
	return err == nil && end == len(text) && utf8.Valid(text)
}

// walk is one pass over a document. Positions are byte offsets in doc.
type walk struct {
	doc    []byte
	edit   edit
	out    []byte // result so far, which doc[copied:] still lacks
	copied int
	path   []byte   // concrete pointer of the present value, while pointers lead on
	rests  []string // stack: what the pointers that lead to the present value have left

	restsBuf [8]string
}

// value walks the value that begins at i and returns where it ends. The rests of
// the pointers that lead to it begin at w.rests[low].
func (w *walk) value(i, low, depth int) (end int, err error) {
	for _, rest := range w.rests[low:] {
		if rest == "" {
			return w.target(i, depth)
		}
	}
	if i >= len(w.doc) {
		return 0, fault(i)
	}
	switch c := w.doc[i]; {
	case c == '"':
		return skipString(w.doc, i)
	case c == '{':
		return w.object(i, low, depth+1)
	case c == '[':
		return w.array(i, low, depth+1)
	case c == '-' || isDigit(c):
		return skipNumber(w.doc, i)
	default:
		return skipWord(w.doc, i)
	}
}

// target edits the value that begins at i.
func (w *walk) target(i, depth int) (end int, err error) {
	end, err = w.value(i, len(w.rests), depth)
	if err != nil {
		return 0, err
	}
	if w.doc[i] == 'n' { // null
		return end, nil
	}
	w.out = append(w.out, w.doc[w.copied:i]...)
	w.out, err = w.edit(w.out, w.doc[i:end], w.path)
	w.copied = end
	return end, err
}

func (w *walk) object(i, low, depth int) (end int, err error) {
	if depth > maxDepth {
		return 0, fault(i)
	}
	if i = skipSpace(w.doc, i+1); at(w.doc, i) == '}' {
		return i + 1, nil
	}
	for {
		nameEnd, err := skipString(w.doc, i)
		if err != nil {
			return 0, err
		}
		colon := skipSpace(w.doc, nameEnd)
		if at(w.doc, colon) != ':' {
			return 0, fault(colon)
		}
		var name []byte
		if low < len(w.rests) { // else nobody asks
			name = unquote(w.doc[i:nameEnd])
		}
		if end, err = w.child(skipSpace(w.doc, colon+1), low, depth, name); err != nil {
			return 0, err
		}
		end = skipSpace(w.doc, end)
		switch at(w.doc, end) {
		case ',':
			i = skipSpace(w.doc, end+1)
		case '}':
			return end + 1, nil
		default:
			return 0, fault(end)
		}
	}
}

func (w *walk) array(i, low, depth int) (end int, err error) {
	if depth > maxDepth {
		return 0, fault(i)
	}
	if i = skipSpace(w.doc, i+1); at(w.doc, i) == ']' {
		return i + 1, nil
	}
	for index := 0; ; index++ {
		var name []byte
		if low < len(w.rests) { // else nobody asks
			name = strconv.AppendInt(nil, int64(index), 10)
		}
		if end, err = w.child(i, low, depth, name); err != nil {
			return 0, err
		}
		end = skipSpace(w.doc, end)
		switch at(w.doc, end) {
		case ',':
			i = skipSpace(w.doc, end+1)
		case ']':
			return end + 1, nil
		default:
			return 0, fault(end)
		}
	}
}

// child walks the member or item called name, whose value begins at i.
func (w *walk) child(i, low, depth int, name []byte) (end int, err error) {
	high := len(w.rests)
	for n := low; n < high; n++ {
		if rest, ok := step(w.rests[n], name); ok {
			w.rests = append(w.rests, rest)
		}
	}
	if len(w.rests) == high {
		return w.value(i, high, depth)
	}
	length := len(w.path)
	w.path = appendToken(w.path, name)
	end, err = w.value(i, high, depth)
	w.path = w.path[:length]
	w.rests = w.rests[:high]
	return end, err
}

// unquote returns what a JSON string that [skipString] has accepted stands for.
// It may share memory with text.
func unquote(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1]
	}
	var s string
	_ = json.Unmarshal(text, &s) // cannot fail: the grammar was checked
	return []byte(s)
}

// fault says where a document stops being JSON, and nothing of what is there.
func fault(i int) error { return fmt.Errorf("%w: byte %d", ErrDocument, i) }
