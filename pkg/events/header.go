package events

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Header is a message's headers. Names are case-sensitive on the wire.
type Header = nats.Header

var errNotUTF8 = errors.New("not UTF-8")

// headerValue returns the value of a header, or "". It ignores the case of the name,
// since clients differ. Of several headers that differ in case only it returns that with
// exactly this name, else the first in byte order, so that every reader sees the same.
// name is in lower case, except for the headers of NATS.
func headerValue(h Header, name string) string {
	if v, ok := h[name]; ok && len(v) > 0 {
		return v[0]
	}
	found := ""
	for k, v := range h {
		if len(k) == len(name) && len(v) > 0 && strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	if found == "" {
		return ""
	}
	return h[found][0]
}

// attribute returns the CloudEvents attribute of a binary-mode message, decoded, or ""
// if it is absent.
func attribute(h Header, name string) (string, error) {
	return decodeAttribute(headerValue(h, attributePrefix+name))
}

// Attribute returns the CloudEvents attribute of a binary-mode message, decoded, or
// "" if it is absent or not UTF-8.
func Attribute(h Header, name string) string {
	v, err := attribute(h, name)
	if err != nil {
		return ""
	}
	return v
}

// percentEncode encodes an attribute for a header as the HTTP and NATS bindings require:
// printable ASCII except space, double quote and percent is written as it is. Bytes that
// are not UTF-8, which readers must refuse, become U+FFFD.
func percentEncode(s string) string {
	if headerSafe.containsAll(s) {
		return s
	}
	return headerSafe.escape(strings.ToValidUTF8(s, string(utf8.RuneError)), '%')
}

// decodeAttribute reverses percentEncode. It also accepts double-quoted strings, which
// older versions of the HTTP binding wrote, and a percent sign that begins no sequence.
func decodeAttribute(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if strings.Contains(s, "%") {
		s = percentDecode(s)
	}
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	return s, nil
}

// unquote removes the backslashes of a quoted string (RFC 7230, 3.2.6).
func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

func percentDecode(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := unhex(upper(s[i+1])), unhex(upper(s[i+2]))
			if high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}
