package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// assumedLifetime replaces an expiry that is stated but cannot be read. To renew too
// early does no harm; to take the token for one without expiry would.
const assumedLifetime = time.Hour

// stated is the token whose expiry a response states.
type stated struct {
	token     string
	renewable bool
}

// expiryOf returns when a token expires; zero is never, or unknown. value is nil where the
// response states none. Zero and less are no expiry that could be relied on: they mean
// "never" to some providers, and "now" to others.
func expiryOf(form connectors.ExpiryForm, value any, of stated, now time.Time) time.Time {
	switch {
	case form == connectors.ExpiryNone:
		return time.Time{}
	case form == connectors.ExpiryJWT, value == nil && form == connectors.ExpiryAuto:
		return jwtExpiry(of.token)
	case value == nil:
		return time.Time{}
	}
	at, ok := form.Time(scalar(value), now)
	if !ok || at.IsZero() && of.renewable {
		return now.Add(assumedLifetime).UTC()
	}
	return at
}

// refreshExpiry returns when a refresh token expires; zero is unknown.
func refreshExpiry(o *connectors.OAuth2, value any, now time.Time) time.Time {
	if value == nil {
		return time.Time{}
	}
	form := o.Expiry
	if form == connectors.ExpiryJWT || form == connectors.ExpiryNone {
		form = connectors.ExpiryAuto
	}
	return expiryOf(form, value, stated{}, now)
}

// jwtExpiry returns the exp claim of a JWT, zero if there is none. The signature is not
// checked: the claim only says when to renew a token that came over TLS.
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
