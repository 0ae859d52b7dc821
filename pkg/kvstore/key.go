package kvstore

import (
	"fmt"
	"strings"
	"time"
)

// MaxKeyLength bounds keys and filters, in bytes. Longer subjects come near
// the limit above which a NATS server closes the connection.
const MaxKeyLength = 1024

// CheckKey reports why key is not a key, as an [ErrKey], or nil. A key is made
// of tokens joined by dots; a token is one or more of
//
//	A-Z a-z 0-9 - _ = /
//
// Anything else (a tenant's own id, a mail address) is encoded by the caller.
func CheckKey(key string) error {
	if err := checkLength("key", key); err != nil {
		return err
	}
	for token := range strings.SplitSeq(key, ".") {
		if err := checkToken("key", key, token); err != nil {
			return err
		}
	}
	return nil
}

// CheckFilter reports why filter is not a filter, as an [ErrKey], or nil.
// A filter is a key in which any token may be "*", which stands for exactly one
// token, and the last may be ">", which stands for one or more. So "a.b"
// matches only itself, "a.*" matches "a.b" but neither "a" nor "a.b.c", and
// ">" matches everything.
func CheckFilter(filter string) error {
	if err := checkLength("filter", filter); err != nil {
		return err
	}
	rest := filter
	for more := true; more; {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if token == "*" || token == ">" && !more {
			continue
		}
		if err := checkToken("filter", filter, token); err != nil {
			return err
		}
	}
	return nil
}

// Match reports whether key matches filter. Both are taken to be well formed.
func Match(filter, key string) bool {
	for {
		f, restF, moreF := strings.Cut(filter, ".")
		if f == ">" {
			return true
		}
		k, restK, moreK := strings.Cut(key, ".")
		if f != "*" && f != k {
			return false
		}
		if !moreF || !moreK {
			return moreF == moreK
		}
		filter, key = restF, restK
	}
}

// CheckTTL reports why ttl is not a time to live, or nil: it is 0 (forever) or
// whole seconds, at least one.
func CheckTTL(ttl time.Duration) error {
	if ttl == 0 || ttl >= time.Second && ttl%time.Second == 0 {
		return nil
	}
	return fmt.Errorf("bad ttl %v: want whole seconds, at least 1s", ttl)
}

func checkLength(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: empty %s", ErrKey, what)
	case len(s) > MaxKeyLength:
		return fmt.Errorf("%w: %s of %d bytes, the limit is %d", ErrKey, what, len(s), MaxKeyLength)
	}
	return nil
}

func checkToken(what, whole, token string) error {
	if token == "" {
		return fmt.Errorf("%w: empty token in %s %q", ErrKey, what, whole)
	}
	for i := range len(token) {
		if !tokenByte(token[i]) {
			return fmt.Errorf("%w: %q in %s %q", ErrKey, token[i], what, whole)
		}
	}
	return nil
}

func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '=' || c == '/'
}
