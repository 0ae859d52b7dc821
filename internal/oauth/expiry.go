package oauth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// assumedLife is taken for an expiry that is there but cannot be read: it is never
// taken for "does not end", since renewing too early harms nobody.
const assumedLife = time.Hour

// expiryOf reads when a token ends; zero is never. value is nil where the reply
// has none.
func expiryOf(form connectors.ExpiryForm, value any, token string, now time.Time) time.Time {
	switch {
	case form == connectors.ExpiryNone:
		return time.Time{}
	case form == connectors.ExpiryJWT, value == nil && form == connectors.ExpiryAuto:
		return jwtExpiry(token)
	case value == nil:
		return time.Time{}
	}
	at, ok := form.Time(scalar(value), now)
	if !ok {
		return now.Add(assumedLife).UTC()
	}
	return at
}

// jwtExpiry reads the exp of a JWT without checking its signature: it only says
// when to renew what we were given over TLS.
func jwtExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0).UTC()
}
