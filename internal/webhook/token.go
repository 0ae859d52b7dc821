package webhook

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	longestToken  = 16 << 10
	defaultLeeway = 60 * time.Second
)

// token is a compiled webhooks.JWT.
type token struct {
	algorithm string
	jwks      string
	issuers   []string
	audience  template
	claims    []claim
	leeway    time.Duration
}

type claim struct {
	path []string
	want template
}

func compileToken(j *webhooks.JWT) *token {
	if j == nil {
		return nil
	}
	t := &token{algorithm: j.Algorithm, jwks: j.JWKS, issuers: j.Issuer,
		audience: compileTemplate(j.Audience), leeway: time.Duration(j.Leeway)}
	for name, text := range j.Claims {
		t.claims = append(t.claims, claim{path: strings.Split(name, "."), want: compileTemplate(text)})
	}
	if t.leeway == 0 {
		t.leeway = defaultLeeway
	}
	return t
}

// jwt is a parsed JSON Web Token in compact serialisation (RFC 7519).
type jwt struct {
	algorithm, keyID string
	claims           document
	signed           string // what the signature is over
	signature        []byte
}

// parseJWT reads a token without verifying it. Tokens with critical header
// parameters are refused: we know none (RFC 7515, 4.1.11).
func parseJWT(text string) (jwt, bool) {
	if len(text) > longestToken {
		return jwt{}, false
	}
	last := strings.LastIndexByte(text, '.')
	if last < 0 || strings.Count(text, ".") != 2 {
		return jwt{}, false
	}
	headerText, claimsText, _ := strings.Cut(text[:last], ".")
	headerBytes, ok1 := decode(nil, headerText, webhooks.EncodingBase64URL)
	claimBytes, ok2 := decode(nil, claimsText, webhooks.EncodingBase64URL)
	signature, ok3 := decode(nil, text[last+1:], webhooks.EncodingBase64URL)
	if !ok1 || !ok2 || !ok3 {
		return jwt{}, false
	}
	header, claims := parseDocument(headerBytes), parseDocument(claimBytes)
	if len(header) == 0 || header[0] != '{' || len(claims) == 0 || claims[0] != '{' || header.find([]string{"crit"}) != nil {
		return jwt{}, false
	}
	t := jwt{claims: claims, signed: text[:last], signature: signature}
	t.algorithm, _ = header.find([]string{"alg"}).text()
	t.keyID, _ = header.find([]string{"kid"}).text()
	return t, true
}

// checkToken verifies a JWT's signature and then what it says.
func (w *way) checkToken(ctx context.Context, v *view, candidates []string, secrets []secret.Text) (int, error) {
	if len(candidates) != 1 {
		return -1, w.reject(ReasonMalformedSignature)
	}
	t, ok := parseJWT(candidates[0])
	if !ok || t.algorithm != w.token.algorithm {
		return -1, w.reject(ReasonMalformedSignature)
	}
	defer func() { v.secret = "" }()
	if w.token.jwks == "" {
		index, err := w.checkTokenHMAC(&t, secrets)
		if err != nil {
			return -1, err
		}
		v.secret = secrets[index].Reveal()
		return index, w.checkClaims(v, &t)
	}
	key, err := v.engine.keys.rsaKey(ctx, w.token.jwks, t.keyID)
	switch {
	case errors.Is(err, errBadKeys):
		return -1, w.reject(ReasonBadSignature)
	case err != nil:
		return -1, err
	}
	sum := sha256.Sum256([]byte(t.signed))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) != nil {
		return -1, w.reject(ReasonBadSignature)
	}
	return w.checkClaimsWithAny(v, &t, secrets)
}

func (w *way) checkTokenHMAC(t *jwt, secrets []secret.Text) (int, error) {
	reason := ReasonNoSecret
	for index, text := range secrets {
		if text.IsZero() {
			continue
		}
		key, ok := decodeKey(w.key, text)
		if !ok {
			if reason == ReasonNoSecret {
				reason = ReasonBadSecret
			}
			continue
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(t.signed))
		if hmac.Equal(h.Sum(nil), t.signature) {
			return index, nil
		}
		reason = ReasonBadSignature
	}
	return -1, w.reject(reason)
}

// checkClaimsWithAny tries the claims with each secret where they mention
// one: a provider's key set signs for everybody, and the configured value
// says which of its tokens are ours.
func (w *way) checkClaimsWithAny(v *view, t *jwt, secrets []secret.Text) (int, error) {
	if !w.token.usesSecret() {
		return -1, w.checkClaims(v, t)
	}
	var failure error = w.reject(ReasonNoSecret)
	for index, text := range secrets {
		if text.IsZero() {
			continue
		}
		v.secret = text.Reveal()
		if failure = w.checkClaims(v, t); failure == nil {
			return index, nil
		}
	}
	return -1, failure
}

func (t *token) usesSecret() bool {
	return t.audience.uses(refSecret) || slices.ContainsFunc(t.claims, func(c claim) bool { return c.want.uses(refSecret) })
}

// checkClaims demands issuer, audience, the further claims, the digest of the
// body, and a validity that includes now.
func (w *way) checkClaims(v *view, t *jwt) error {
	issuer, _ := t.claims.find([]string{"iss"}).text()
	if len(w.token.issuers) > 0 && !slices.Contains(w.token.issuers, issuer) {
		return w.reject(ReasonWrongClaims)
	}
	if len(w.token.audience) > 0 && !t.hasAudience(w.token.audience.text(v)) {
		return w.reject(ReasonWrongClaims)
	}
	for _, c := range w.token.claims {
		got, ok := t.claims.find(c.path).text()
		want := c.want.text(v)
		if !ok || want == "" || got != want {
			return w.reject(ReasonWrongClaims)
		}
	}
	if w.bodyHash != nil && !w.bodyHash.holdsClaim(v, t.claims) {
		return w.reject(ReasonBadBodyHash)
	}
	return w.checkValidity(v, t)
}

// hasAudience reads aud as text or a list of texts (RFC 7519, 4.1.3).
func (t *jwt) hasAudience(want string) bool {
	if want == "" {
		return false
	}
	audience := t.claims.find([]string{"aud"})
	if one, ok := audience.text(); ok {
		return one == want
	}
	for element := range audience.elements {
		if one, ok := element.text(); ok && one == want {
			return true
		}
	}
	return false
}

func (w *way) checkValidity(v *view, t *jwt) error {
	now := v.request.Now
	expires, ok := t.time("exp")
	if !ok {
		return w.reject(ReasonMissingTimestamp)
	}
	if age := now.Sub(expires); age > w.token.leeway {
		return &Rejection{Reason: ReasonStale, Scheme: w.scheme, Skew: age}
	}
	for _, name := range []string{"nbf", "iat"} {
		if t.claims.find([]string{name}) == nil {
			continue
		}
		from, ok := t.time(name)
		if !ok {
			return w.reject(ReasonMalformedTimestamp)
		}
		if ahead := from.Sub(now); ahead > w.token.leeway {
			return &Rejection{Reason: ReasonFuture, Scheme: w.scheme, Skew: -ahead}
		}
	}
	return nil
}

// time reads a NumericDate (RFC 7519, 2): seconds, perhaps with a fraction.
func (t *jwt) time(name string) (time.Time, bool) {
	raw := t.claims.find([]string{name})
	if len(raw) == 0 || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds > 1e11 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
