package webhook

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/jsondoc"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// maxToken bounds a JSON Web Token, in bytes.
const maxToken = 16 << 10

// token is a JSON Web Token in compact serialization (RFC 7519), not yet
// verified.
type token struct {
	algorithm, keyID string
	claims           jsondoc.Value
	signed           string // header and claims, which the signature is over
	signature        []byte
}

// parseToken parses a token without verifying it. Tokens with critical header
// parameters are refused: none is known here (RFC 7515, 4.1.11).
func parseToken(text string) (token, bool) {
	if len(text) > maxToken {
		return token{}, false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return token{}, false
	}
	header, ok1 := parseObject(parts[0])
	claims, ok2 := parseObject(parts[1])
	signature, ok3 := decode(parts[2], webhooks.EncodingBase64URL)
	if !ok1 || !ok2 || !ok3 || header.Find("crit").Kind() != 0 {
		return token{}, false
	}
	t := token{claims: claims, signed: parts[0] + "." + parts[1], signature: signature}
	t.algorithm, _ = scalar(header.Find("alg"))
	t.keyID, _ = scalar(header.Find("kid"))
	return t, true
}

// parseObject parses a JSON object in base64url.
func parseObject(text string) (jsondoc.Value, bool) {
	b, ok := decode(text, webhooks.EncodingBase64URL)
	v, err := jsondoc.Parse(b)
	return v, ok && err == nil && v.Kind() == '{'
}

// hasAudience reports whether aud, a string or an array of strings (RFC 7519,
// 4.1.3), has the value.
func (t *token) hasAudience(want string) bool {
	if want == "" {
		return false
	}
	audience := t.claims.Find("aud")
	if one, ok := scalar(audience); ok {
		return one == want
	}
	for _, element := range audience.Elements() {
		if one, ok := scalar(element); ok && one == want {
			return true
		}
	}
	return false
}

// time returns a NumericDate (RFC 7519, 2): seconds, possibly with a fraction.
func (t *token) time(name string) (time.Time, bool) {
	v := t.claims.Find(name)
	seconds, err := strconv.ParseFloat(string(v.Raw), 64)
	if err != nil || v.Kind() != '0' || v.Raw[0] == '-' || seconds > 1e11 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
