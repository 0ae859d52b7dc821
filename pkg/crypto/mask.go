package crypto

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// What [MaskFields] shows: characters at each end, and the stand-in for the rest.
const (
	maskVisible = 4
	maskRune    = '*'
	masked      = "***"
)

// Mask shortens a secret to what lets its owner recognise it: the first and the
// last visible characters around three mask characters, or as many mask
// characters as it has if it is not longer than both ends together. So
// "123456789" is "1234***6789", "12345678" is eight stars, "" stays "". Characters
// are code points; a negative visible is 0.
func Mask(s string, visible int, char rune) string {
	visible = max(visible, 0)
	length := utf8.RuneCountInString(s)
	if length-visible <= visible {
		return strings.Repeat(string(char), length)
	}
	runes := []rune(s)
	return string(runes[:visible]) + strings.Repeat(string(char), 3) + string(runes[length-visible:])
}

// MaskFields returns a copy of the JSON document in which every value that the
// pointers lead to (as in [Keyring.SealFields]) is masked: strings by [Mask] with
// 4 visible characters and '*', every other value as "***". Null and "" are left.
// An envelope is "***" too, so a sealed document needs no opening to be shown.
// Errors are [*Error] with [ErrDocument] or [ErrPointer].
func MaskFields(doc []byte, pointers []string) ([]byte, error) {
	out, err := editFields(doc, pointers, maskValue)
	if err != nil {
		return nil, typed(opMask, err)
	}
	return out, nil
}

func maskValue(dst []byte, value jsondoc.Value, _ string) ([]byte, error) {
	shown := masked
	if value.Kind() == '"' {
		text := value.Unquote()
		if _, err := decode(text); err != nil {
			shown = Mask(text, maskVisible, maskRune)
		}
	}
	text, err := json.Marshal(shown)
	return append(dst, text...), err
}
