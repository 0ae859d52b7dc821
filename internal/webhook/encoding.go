package webhook

import (
	"encoding/base64"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// decode appends what text stands for to dst. Only the canonical form is
// accepted, so that every value has one spelling: no other case, padding or
// alphabet, no white space.
func decode(dst []byte, text string, e webhooks.Encoding) ([]byte, bool) {
	switch e {
	case webhooks.EncodingHex:
		return decodeHex(dst, text, "0123456789abcdef")
	case webhooks.EncodingHexUpper:
		return decodeHex(dst, text, "0123456789ABCDEF")
	case webhooks.EncodingBase64:
		return decodeBase64(dst, text, base64.StdEncoding)
	case webhooks.EncodingBase64URL:
		return decodeBase64(dst, text, base64.RawURLEncoding)
	case webhooks.EncodingText, "":
		return append(dst, text...), true
	}
	return nil, false
}

func decodeHex(dst []byte, text, digits string) ([]byte, bool) {
	if len(text)%2 != 0 {
		return nil, false
	}
	for i := 0; i < len(text); i += 2 {
		high, low := strings.IndexByte(digits, text[i]), strings.IndexByte(digits, text[i+1])
		if high < 0 || low < 0 {
			return nil, false
		}
		dst = append(dst, byte(high<<4|low))
	}
	return dst, true
}

func decodeBase64(dst []byte, text string, e *base64.Encoding) ([]byte, bool) {
	// The decoder skips line ends; we do not.
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	out, err := e.Strict().AppendDecode(dst, []byte(text))
	return out, err == nil
}

// encode is the canonical text of b.
func encode(b []byte, e webhooks.Encoding) string {
	const digits, upper = "0123456789abcdef", "0123456789ABCDEF"
	switch e {
	case webhooks.EncodingHex:
		return encodeHex(b, digits)
	case webhooks.EncodingHexUpper:
		return encodeHex(b, upper)
	case webhooks.EncodingBase64:
		return base64.StdEncoding.EncodeToString(b)
	case webhooks.EncodingBase64URL:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return string(b)
}

func encodeHex(b []byte, digits string) string {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
