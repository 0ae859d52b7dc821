package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// emptyToken stands for the empty string: subjects have no empty tokens.
	emptyToken = "="
	// hashPrefix begins the token of a string that is too long to be escaped. No escaped
	// string begins with it: there, '=' is followed by two upper-case hex digits.
	hashPrefix = "=h"
	// maxTokenInput is the longest string, in bytes, that is escaped. Subjects stay far
	// below the 4 KB at which a server closes the connection.
	maxTokenInput = 128
)

// ErrToken is returned for a token that [Token] does not write.
var ErrToken = errors.New("events: malformed subject token")

// Token escapes s into one subject token that is also a legal key token of
// JetStream KV: bytes other than A-Z a-z 0-9 _ - become =XX (upper-case hex),
// and the empty string becomes "=". So ava@example.com is ava=40example=2Ecom.
// No two strings share a token. A string of more than 128 bytes becomes "=h"
// and its SHA-256 in hex, which cannot be reversed.
func Token(s string) string {
	if s == "" {
		return emptyToken
	}
	if len(s) > maxTokenInput {
		sum := sha256.Sum256([]byte(s))
		return hashPrefix + hex.EncodeToString(sum[:])
	}
	if plain.containsAll(s) {
		return s
	}
	return plain.escape(s, '=')
}

// ParseToken reverses [Token]. It accepts only what Token writes, so that a string has
// one token. A hashed token is an error, since it cannot be reversed.
func ParseToken(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	if plain.containsAll(token) && token != "" && len(token) <= maxTokenInput {
		return token, nil
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain[c] {
			out = append(out, c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", fmt.Errorf("%w: %.200q", ErrToken, token)
		}
		high, low := unhex(token[i+1]), unhex(token[i+2])
		if high < 0 || low < 0 || plain[byte(high<<4|low)] {
			return "", fmt.Errorf("%w: %.200q", ErrToken, token)
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	if len(out) == 0 || len(out) > maxTokenInput {
		return "", fmt.Errorf("%w: %.200q", ErrToken, token)
	}
	return string(out), nil
}

// isToken reports whether [Token] can have written the token, as a hash or not.
func isToken(token string) bool {
	if hash, ok := strings.CutPrefix(token, hashPrefix); ok {
		return isHex(hash, 2*sha256.Size)
	}
	_, err := ParseToken(token)
	return err == nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
