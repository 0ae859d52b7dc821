package crypto

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

const (
	visibleChars = 4 // at each end of a masked string
	// leastVisible is the shortest string whose ends are shown: of a shorter one they
	// would be too much of a secret.
	leastVisible = 20
	masked       = "***"
)

// MaskFields returns a copy of the JSON document in which every value that the
// pointers lead to (as in [Keyring.SealFields]) is masked. Of a string of at
// least 20 characters the first and last 4 stay, so that its owner recognises it:
// "sk_live_1234567890ab" becomes "sk_l***90ab". A shorter one becomes "***". Every
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
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return ""
	case n < leastVisible:
		return masked
	}
	runes := []rune(s)
	return string(runes[:visibleChars]) + masked + string(runes[len(runes)-visibleChars:])
}
