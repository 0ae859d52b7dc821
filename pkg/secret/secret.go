// Package secret holds the one type that carries secret text through Hawser.
//
// A [Text] prints as "[redacted]" wherever Go prints things: every verb of fmt,
// encoding/json, encoding.TextMarshaler, log/slog. It leaves only through
// [Text.Reveal], so that `grep -r 'Reveal()'` lists every place where a secret
// is really used.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret prints as.
const Redacted = "[redacted]"

// Text is a secret string. The zero value is the absent secret. Safe for
// concurrent use; it never changes after it was made.
type Text struct {
	// A pointer, because fmt cannot call methods on unexported fields of a
	// surrounding struct and would print a plain string there. It prints an
	// address instead.
	value *string
}

// New returns s as a secret. The empty string is the absent secret.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{value: &s}
}

// Reveal returns the secret in the clear. Call it where the secret is used
// (a signature, a request header, the cipher) and keep the result out of
// variables that live longer than the call.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether there is no secret. encoding/json's omitzero uses it.
func (t Text) IsZero() bool { return t.value == nil }

// Equal compares in constant time; the lengths of both do not show either.
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

// GoString covers %#v.
func (t Text) GoString() string { return t.String() }

// Format covers every other verb (%x, %q, %d …).
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue covers log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON writes "[redacted]" (or "" for the absent secret).
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// MarshalText covers text encoders, YAML among them.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalJSON reads the secret from a JSON string. null is the absent secret.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		// The decoder's own error would quote the value.
		return fmt.Errorf("secret: a JSON string is needed here")
	}
	*t = New(s)
	return nil
}

// UnmarshalText reads the secret from text decoders: YAML, flags, environment.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}
