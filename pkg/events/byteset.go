package events

// byteSet is a set of bytes.
type byteSet [256]bool

var (
	lowerAlphanumeric = newByteSet(func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' })
	printable         = newByteSet(func(c byte) bool { return c > ' ' && c < 0x7f })
	// plain are the bytes that a subject token contains as they are.
	plain = newByteSet(func(c byte) bool { return lowerAlphanumeric[c] || c >= 'A' && c <= 'Z' || c == '_' || c == '-' })
	// literal are the bytes of a token that is not a wildcard and cannot break the protocol.
	literal = newByteSet(func(c byte) bool { return c > ' ' && c != 0x7f && c != '*' && c != '>' })
	// headerSafe are the bytes that an attribute's header contains as they are.
	headerSafe = newByteSet(func(c byte) bool { return printable[c] && c != '"' && c != '%' })
)

func newByteSet(contains func(byte) bool) *byteSet {
	var b byteSet
	for c := range b {
		b[c] = contains(byte(c))
	}
	return &b
}

// containsAll reports whether all bytes of s are in the set.
func (b *byteSet) containsAll(s string) bool {
	for i := range len(s) {
		if !b[s[i]] {
			return false
		}
	}
	return true
}

// escape writes each byte of s that is not in the set as the mark and two upper-case
// hex digits.
func (b *byteSet) escape(s string, mark byte) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; b[c] {
			out = append(out, c)
		} else {
			out = append(out, mark, digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}
