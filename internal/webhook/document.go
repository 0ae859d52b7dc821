package webhook

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
)

// document is a JSON text that json.Valid has accepted; nil is no document.
// Values are found by walking it, without decoding the rest: a delivery of
// 25 MiB costs a scan, not a tree. Of repeated keys the last counts, as for
// every common decoder, so that what is verified is what consumers read.
type document []byte

// parseDocument returns nil for what is not JSON, nested beyond
// encoding/json's limit (10,000) included.
func parseDocument(b []byte) document {
	if len(b) == 0 || !json.Valid(b) {
		return nil
	}
	return document(bytes.Trim(b, " \t\r\n"))
}

// find returns the value at the path, or nil. A step into an array is an index.
func (d document) find(path []string) document {
	for _, step := range path {
		if len(d) == 0 {
			return nil
		}
		switch d[0] {
		case '{':
			d = d.member(step)
		case '[':
			d = d.element(step)
		default:
			return nil
		}
	}
	return d
}

// every yields the values at a path in which the step * stands for each
// element of an array.
func (d document) every(path []string) iter.Seq[document] {
	return func(yield func(document) bool) { d.visit(path, yield) }
}

func (d document) visit(path []string, yield func(document) bool) bool {
	at := slices.Index(path, "*")
	if at < 0 {
		found := d.find(path)
		return found == nil || yield(found)
	}
	for element := range d.find(path[:at]).elements {
		if !element.visit(path[at+1:], yield) {
			return false
		}
	}
	return true
}

func (d document) member(name string) document {
	var found document
	for i := skipSpace(d, 1); i < len(d) && d[i] != '}'; i = skipSeparator(d, i) {
		end := skipValue(d, i)
		key := d[i:end]
		i = skipSpace(d, skipSpace(d, end)+1) // over the colon
		end = skipValue(d, i)
		if key.isKey(name) {
			found = d[i:end]
		}
		i = end
	}
	return found
}

// isKey compares a quoted key, escapes and all.
func (d document) isKey(name string) bool {
	if len(d) < 2 {
		return false
	}
	if bytes.IndexByte(d, '\\') < 0 {
		return string(d[1:len(d)-1]) == name
	}
	key, ok := d.text()
	return ok && key == name
}

func (d document) element(step string) document {
	want, err := strconv.Atoi(step)
	if err != nil || want < 0 || step != strconv.Itoa(want) {
		return nil
	}
	n := 0
	for element := range d.elements {
		if n == want {
			return element
		}
		n++
	}
	return nil
}

// elements ranges over an array; over anything else it yields nothing.
func (d document) elements(yield func(document) bool) {
	if len(d) == 0 || d[0] != '[' {
		return
	}
	for i := skipSpace(d, 1); i < len(d) && d[i] != ']'; i = skipSeparator(d, i) {
		end := skipValue(d, i)
		if !yield(d[i:end]) {
			return
		}
		i = end
	}
}

// text is the value of a string, or the text of a number or boolean. Objects,
// arrays, null and nil have none.
func (d document) text() (string, bool) {
	if len(d) == 0 {
		return "", false
	}
	switch d[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		inner := d[1 : len(d)-1]
		if isPlain(inner) {
			return string(inner), true
		}
		var s string
		if err := json.Unmarshal(d, &s); err != nil {
			return "", false
		}
		return s, true
	}
	return string(d), true
}

// isPlain reports whether a string's inside needs no decoding.
func isPlain(inner []byte) bool {
	for _, c := range inner {
		if c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// empty reports whether this is "", [] or {}.
func (d document) empty() bool {
	if len(d) < 2 {
		return false
	}
	switch d[0] {
	case '"':
		return len(d) == 2
	case '[', '{':
		return skipSpace(d, 1) == len(d)-1
	}
	return false
}

func skipSpace(d document, i int) int {
	for i < len(d) && (d[i] == ' ' || d[i] == '\t' || d[i] == '\r' || d[i] == '\n') {
		i++
	}
	return i
}

// skipSeparator goes from the end of a value to the next one or the closing
// bracket.
func skipSeparator(d document, i int) int {
	i = skipSpace(d, i)
	if i < len(d) && d[i] == ',' {
		return skipSpace(d, i+1)
	}
	return i
}

// skipValue returns the end of the value that begins at i. It counts brackets
// rather than recursing.
func skipValue(d document, i int) int {
	depth := 0
	for i < len(d) {
		switch d[i] {
		case '"':
			i = skipString(d, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
			continue
		default:
			i = skipLiteral(d, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return len(d)
}

func skipString(d document, i int) int {
	for i++; i < len(d); i++ {
		switch d[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(d)
}

func skipLiteral(d document, i int) int {
	for i < len(d) {
		switch d[i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n', ':':
			return i
		}
		i++
	}
	return i
}
