package crypto

import (
	"bytes"
	"strings"
)

// A pointer is an RFC 6901 JSON pointer: "" is the document, "/a/0/b~1c" the
// member "b/c" of item 0 of member "a". In the lists that the field functions
// take, the token "*" stands for every item and every member. In paths of
// concrete values, "*" is a name like any other.

// checkPointer returns [ErrPointer] for text that is no pointer. What it accepts
// has one spelling only, so that equal places have equal pointers.
func checkPointer(pointer string) error {
	if pointer != "" && pointer[0] != '/' {
		return ErrPointer
	}
	for i := range len(pointer) {
		if pointer[i] != '~' {
			continue
		}
		if i+1 == len(pointer) || pointer[i+1] != '0' && pointer[i+1] != '1' {
			return ErrPointer
		}
	}
	return nil
}

// step returns what is left of a pointer, which is not "", below the member or
// item called name, or false if the pointer does not lead there.
func step(pointer string, name []byte) (rest string, ok bool) {
	token := pointer[1:]
	if end := strings.IndexByte(token, '/'); end >= 0 {
		token, rest = token[:end], token[end:]
	}
	return rest, token == "*" || tokenIs(token, name)
}

// tokenIs compares a token, which may be escaped, with a name, which is not.
func tokenIs(token string, name []byte) bool {
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '~' {
			i++
			c = '~'
			if token[i] == '1' {
				c = '/'
			}
		}
		if len(name) == 0 || name[0] != c {
			return false
		}
		name = name[1:]
	}
	return len(name) == 0
}

// appendToken appends "/" and the escaped name.
func appendToken(dst, name []byte) []byte {
	dst = append(dst, '/')
	if bytes.IndexByte(name, '~') < 0 && bytes.IndexByte(name, '/') < 0 {
		return append(dst, name...)
	}
	for _, c := range name {
		switch c {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
