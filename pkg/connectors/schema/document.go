package schema

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A document is a parsed JSON text. It is stricter than encoding/json: members
// that occur twice, unpaired surrogates, invalid UTF-8 and numbers beyond float64
// are errors, because two readers could understand such a text differently. The
// nodes keep their place in the source, so that defaults can be spliced in without
// touching the order of members or the digits of numbers.
type document struct {
	src   string
	nodes []node // nodes[0] is the root; a child comes after its parent
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// node is one value. Its text is src[start:end]; strings include their quotes.
type node struct {
	kind             nodeKind
	escaped          bool  // a string with a backslash
	keyEscaped       bool  // the same of the member's name
	start, end       int32 // of the value
	keyStart, keyEnd int32 // of the member's name, without quotes; 0,0 if not a member
	next             int32 // the next sibling; 0 if none
	count            int32 // children; the first, if any, is the following node
}

const (
	deepest       = 200     // containers inside each other
	longestDoc    = 1 << 30 // so that places fit an int32
	longestNumber = 128     // characters
	fewMembers    = 16      // up to here, comparing every pair is faster than a map
)

// A syntaxError is why a text is not a document. Its words never quote the text,
// but for the names of members in the path.
type syntaxError struct {
	path []string
	text string
}

func (e *syntaxError) field() FieldError { return FieldError{dotted(e.path), e.text} }

// parseDocument reads src.
func parseDocument(src string) (document, *syntaxError) {
	d := document{src: src}
	if len(src) > longestDoc {
		return d, &syntaxError{text: "is larger than 1 GiB"}
	}
	if !utf8.ValidString(src) {
		return d, &syntaxError{text: "is not valid UTF-8"}
	}
	d.nodes = make([]node, 0, 4+len(src)/16)
	p := parser{document: &d}
	p.space()
	if err := p.value(0); err != nil {
		return d, err
	}
	p.space()
	if p.at < len(src) {
		return d, p.fail("something follows the document")
	}
	return d, nil
}

// parser walks over the source; at is where it stands.
type parser struct {
	*document
	at int
}

func (p *parser) fail(what string) *syntaxError {
	return &syntaxError{text: "is not valid JSON: " + what + " at byte " + strconv.Itoa(p.at)}
}

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// value reads one value and appends its nodes.
func (p *parser) value(depth int) *syntaxError {
	if p.at >= len(p.src) {
		return p.fail("it ends too early")
	}
	i := len(p.nodes)
	p.nodes = append(p.nodes, node{start: int32(p.at)})
	var err *syntaxError
	switch c := p.src[p.at]; {
	case c == '{':
		err = p.object(i, depth+1)
	case c == '[':
		err = p.array(i, depth+1)
	case c == '"':
		p.nodes[i].kind = stringNode
		p.nodes[i].escaped, err = p.string()
	case c == '-' || '0' <= c && c <= '9':
		p.nodes[i].kind = numberNode
		err = p.number()
	case c == 't':
		p.nodes[i].kind = boolNode
		err = p.word("true")
	case c == 'f':
		p.nodes[i].kind = boolNode
		err = p.word("false")
	case c == 'n':
		err = p.word("null")
	default:
		err = p.fail("a value is missing")
	}
	p.nodes[i].end = int32(p.at)
	return err
}

func (p *parser) word(w string) *syntaxError {
	if !strings.HasPrefix(p.src[p.at:], w) {
		return p.fail("unknown word")
	}
	p.at += len(w)
	return nil
}

func (p *parser) array(i, depth int) *syntaxError {
	if depth > deepest {
		return &syntaxError{text: fmt.Sprintf("is nested deeper than %d levels", deepest)}
	}
	p.nodes[i].kind = arrayNode
	p.at++
	p.space()
	if p.eat(']') {
		return nil
	}
	last := 0
	for {
		last = p.link(i, last)
		p.space()
		if err := p.value(depth); err != nil {
			err.path = append(err.path, strconv.Itoa(int(p.nodes[i].count-1)))
			return err
		}
		p.space()
		if p.eat(']') {
			return nil
		}
		if !p.eat(',') {
			return p.fail("a comma or ] is missing")
		}
	}
}

func (p *parser) object(i, depth int) *syntaxError {
	if depth > deepest {
		return &syntaxError{text: fmt.Sprintf("is nested deeper than %d levels", deepest)}
	}
	p.nodes[i].kind = objectNode
	p.at++
	p.space()
	if p.eat('}') {
		return nil
	}
	last := 0
	for {
		p.space()
		if p.at >= len(p.src) || p.src[p.at] != '"' {
			return p.fail("a member's name is missing")
		}
		start := p.at + 1
		escaped, err := p.string()
		if err != nil {
			return err
		}
		end := p.at - 1
		p.space()
		if !p.eat(':') {
			return p.fail("a colon is missing")
		}
		p.space()
		last = p.link(i, last)
		if err := p.value(depth); err != nil {
			err.path = append(err.path, name(p.src, start, end, escaped))
			return err
		}
		n := &p.nodes[last]
		n.keyStart, n.keyEnd, n.keyEscaped = int32(start), int32(end), escaped
		p.space()
		if p.eat('}') {
			return p.unique(i)
		}
		if !p.eat(',') {
			return p.fail("a comma or } is missing")
		}
	}
}

// link makes the node that will be appended next a child of parent, after the
// child last (0 if it is the first), and returns its place.
func (p *parser) link(parent, last int) int {
	child := len(p.nodes)
	p.nodes[parent].count++
	if last != 0 {
		p.nodes[last].next = int32(child)
	}
	return child
}

func (p *parser) eat(c byte) bool {
	if p.at < len(p.src) && p.src[p.at] == c {
		p.at++
		return true
	}
	return false
}

// unique fails if two members of the object have one name.
func (p *parser) unique(object int) *syntaxError {
	twice := func(child int) *syntaxError {
		return &syntaxError{path: []string{p.key(child)}, text: "occurs twice"}
	}
	if p.nodes[object].count > fewMembers {
		seen := make(map[string]bool, p.nodes[object].count)
		for i := range p.children(object) {
			if seen[p.key(i)] {
				return twice(i)
			}
			seen[p.key(i)] = true
		}
		return nil
	}
	for i := range p.children(object) {
		key := p.key(i)
		for j := int(p.nodes[i].next); j != 0; j = int(p.nodes[j].next) {
			if p.key(j) == key {
				return twice(j)
			}
		}
	}
	return nil
}

// string reads from the opening to behind the closing quote.
func (p *parser) string() (escaped bool, _ *syntaxError) {
	for p.at++; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; {
		case c == '"':
			p.at++
			return escaped, nil
		case c < ' ':
			return escaped, p.fail("a control character in a string")
		case c == '\\':
			escaped = true
			if err := p.escape(); err != nil {
				return escaped, err
			}
		}
	}
	return escaped, p.fail("a string does not end")
}

// escape reads an escape sequence and stops at its last character.
func (p *parser) escape() *syntaxError {
	p.at++
	if p.at >= len(p.src) {
		return p.fail("a string does not end")
	}
	switch p.src[p.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return p.fail("an unknown escape")
	}
	r := hex4(p.src[p.at+1:])
	if utf16.IsSurrogate(r) {
		rest := p.src[p.at+5:]
		if !strings.HasPrefix(rest, `\u`) || utf16.DecodeRune(r, hex4(rest[2:])) == utf8.RuneError {
			return p.fail("an unpaired surrogate")
		}
		p.at += 6
	}
	if r < 0 {
		return p.fail("an unknown escape")
	}
	p.at += 4
	return nil
}

// hex4 reads four hexadecimal digits; -1 if there are none.
func hex4(s string) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a number and refuses those that programs cannot agree on.
func (p *parser) number() *syntaxError {
	start := p.at
	p.eat('-')
	if !p.eat('0') && p.digits() == 0 {
		return p.fail("a digit is missing")
	}
	if p.eat('.') && p.digits() == 0 {
		return p.fail("a digit is missing")
	}
	exponent := 0
	if p.eat('e') || p.eat('E') {
		if !p.eat('+') {
			p.eat('-')
		}
		if exponent = p.digits(); exponent == 0 {
			return p.fail("a digit is missing")
		}
	}
	text := p.src[start:p.at]
	if len(text) <= 15 && exponent == 0 {
		return nil
	}
	// Exponents of four digits are out of range even where float64 rounds the
	// value to zero; the exact arithmetic of the validator would have to hold them.
	if _, err := strconv.ParseFloat(text, 64); err != nil || len(text) > longestNumber || exponent > 3 {
		return &syntaxError{text: "is a number out of range"}
	}
	return nil
}

func (p *parser) digits() (n int) {
	for p.at < len(p.src) && '0' <= p.src[p.at] && p.src[p.at] <= '9' {
		p.at++
		n++
	}
	return n
}
