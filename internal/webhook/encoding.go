package webhook

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// decode returns the bytes that text encodes. Only the canonical form is
// accepted, so that every value has one text: no other case, padding or
// alphabet, no white space.
func decode(text string, e webhooks.Encoding) ([]byte, bool) {
	switch e {
	case webhooks.EncodingHex:
		b, err := hex.DecodeString(text)
		return b, err == nil && text == strings.ToLower(text)
	case webhooks.EncodingHexUpper:
		b, err := hex.DecodeString(text)
		return b, err == nil && text == strings.ToUpper(text)
	case webhooks.EncodingBase64:
		return decodeBase64(text, base64.StdEncoding)
	case webhooks.EncodingBase64URL:
		return decodeBase64(text, base64.RawURLEncoding)
	case webhooks.EncodingText, "":
		return []byte(text), true
	}
	return nil, false
}

// decodeBounded decodes at most about size bytes: longer text is refused before
// it is decoded.
func decodeBounded(text string, e webhooks.Encoding, size int) ([]byte, bool) {
	if len(text) > 2*size {
		return nil, false
	}
	return decode(text, e)
}

func decodeBase64(text string, e *base64.Encoding) ([]byte, bool) {
	// The decoder skips line ends, even when strict.
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := e.Strict().DecodeString(text)
	return b, err == nil
}

// encode returns the canonical text of b.
func encode(b []byte, e webhooks.Encoding) string {
	switch e {
	case webhooks.EncodingHex:
		return hex.EncodeToString(b)
	case webhooks.EncodingHexUpper:
		return strings.ToUpper(hex.EncodeToString(b))
	case webhooks.EncodingBase64:
		return base64.StdEncoding.EncodeToString(b)
	case webhooks.EncodingBase64URL:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return string(b)
}
