// Package secret has the type of all secret text in Hawser.
//
// A [Text] is printed as "[redacted]" by every verb of fmt, encoding/json,
// encoding.TextMarshaler and log/slog. Only [Text.Reveal] returns it, so that
// `grep -r 'Reveal()'` lists every place where a secret is used.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is printed in place of a secret.
const Redacted = "[redacted]"

// Text is a secret string. The zero value is the absent secret. Safe for
// concurrent use: it does not change.
type Text struct {
	// A pointer, because fmt does not call methods on unexported fields of a
	// surrounding struct and would print a plain string there. Of a pointer it
	// prints the address.
	value *string
}

// New returns s as a secret. The empty string is the absent secret.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{value: &s}
}

// Reveal returns the secret as plaintext. Call it where the secret is used (a
// signature, a request header, the cipher), and do not store the result.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether there is no secret. encoding/json's omitzero uses it.
func (t Text) IsZero() bool { return t.value == nil }

// Equal compares in constant time, whatever the lengths.
func (t Text) Equal(other Text) bool {
	a, b := sha256.Sum256([]byte(t.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (t Text) String() string {
	if t.value == nil {
		return ""
	}
	return Redacted
}

// GoString returns the text for %#v.
func (t Text) GoString() string { return t.String() }

// Format writes the text for every other verb (%x, %q, %d …).
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns the text for log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON writes "[redacted]" (or "" for the absent secret).
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// MarshalText returns the text for other encoders, YAML for one.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalJSON reads the secret from a JSON string. null is the absent secret.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		// The decoder's own error would quote the value.
		return errors.New("secret: the value has to be a JSON string")
	}
	*t = New(s)
	return nil
}

// UnmarshalText reads the secret from YAML, flags and the environment.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}
