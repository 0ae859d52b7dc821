package crypto

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

const (
	visibleChars = 4 // at each end of a masked string
	masked       = "***"
)

// MaskFields returns a copy of the JSON document in which every value that the
// pointers lead to (as in [Keyring.SealFields]) is masked. Of a string the first
// and last 4 characters stay, so that its owner recognises it: "123456789" becomes
// "1234***6789". A string of at most 8 characters becomes as many asterisks. Every
// other value, and an envelope, becomes "***". Null and "" stay. Characters are
// Unicode code points. The error is an [*Error] with [ErrDocument] or [ErrPointer].
func MaskFields(doc []byte, pointers []string) ([]byte, error) {
	return editFields(opMask, doc, pointers, maskValue)
}

func maskValue(value jsondoc.Value, _ string) ([]byte, error) {
	text := value.Unquote()
	if _, err := decode(text); value.Kind() != '"' || err == nil {
		return json.Marshal(masked)
	}
	return json.Marshal(mask(text))
}

func mask(s string) string {
	length := utf8.RuneCountInString(s)
	if length <= 2*visibleChars {
		return strings.Repeat("*", length)
	}
	runes := []rune(s)
	return string(runes[:visibleChars]) + masked + string(runes[length-visibleChars:])
}
