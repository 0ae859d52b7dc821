package crypto

// The leaves of JSON's grammar (RFC 8259). Each function takes the document and
// the offset where a token begins, and returns the offset behind it.

func skipSpace(doc []byte, i int) int {
	for ; i < len(doc) && doc[i] <= ' '; i++ {
		if c := doc[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return i
		}
	}
	return i
}

// at returns the byte at i, 0 beyond the end: no token begins with it.
func at(doc []byte, i int) byte {
	if i < len(doc) {
		return doc[i]
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func skipString(doc []byte, i int) (end int, err error) {
	if at(doc, i) != '"' {
		return 0, fault(i)
	}
	for i++; i < len(doc); i++ {
		switch c := doc[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			i++
			if !isEscape(doc, i) {
				return 0, fault(i)
			}
			if doc[i] == 'u' {
				i += 4
			}
		case c < 0x20:
			return 0, fault(i)
		}
	}
	return 0, fault(i)
}

// isEscape reports whether what follows a backslash begins at i.
func isEscape(doc []byte, i int) bool {
	switch at(doc, i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		return isHex(at(doc, i+1)) && isHex(at(doc, i+2)) && isHex(at(doc, i+3)) && isHex(at(doc, i+4))
	default:
		return false
	}
}

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func skipNumber(doc []byte, i int) (end int, err error) {
	if doc[i] == '-' {
		i++
	}
	if at(doc, i) == '0' {
		i++
	} else if i, err = skipDigits(doc, i); err != nil {
		return 0, err
	}
	if at(doc, i) == '.' {
		if i, err = skipDigits(doc, i+1); err != nil {
			return 0, err
		}
	}
	if c := at(doc, i); c == 'e' || c == 'E' {
		i++
		if c := at(doc, i); c == '+' || c == '-' {
			i++
		}
		if i, err = skipDigits(doc, i); err != nil {
			return 0, err
		}
	}
	return i, nil
}

// skipDigits needs one digit at least.
func skipDigits(doc []byte, i int) (end int, err error) {
	if !isDigit(at(doc, i)) {
		return 0, fault(i)
	}
	for isDigit(at(doc, i)) {
		i++
	}
	return i, nil
}

// skipWord skips true, false or null.
func skipWord(doc []byte, i int) (end int, err error) {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(doc)-i >= len(word) && string(doc[i:i+len(word)]) == word {
			return i + len(word), nil
		}
	}
	return 0, fault(i)
}
