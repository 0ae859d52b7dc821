package webhook

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

const defaultLeeway = 60 * time.Second

// jwt is a compiled webhooks.JWT.
type jwt struct {
	algorithm string
	jwks      string // URL of the provider's key set; empty: signed with the secret
	issuers   []string
	audience  template
	claims    []claim
	leeway    time.Duration
}

type claim struct {
	path []string
	want template
}

func compileJWT(d *webhooks.JWT) *jwt {
	if d == nil {
		return nil
	}
	j := &jwt{algorithm: d.Algorithm, jwks: d.JWKS, issuers: d.Issuer,
		audience: compileTemplate(d.Audience), leeway: time.Duration(d.Leeway)}
	for name, text := range d.Claims {
		j.claims = append(j.claims, claim{path: strings.Split(name, "."), want: compileTemplate(text)})
	}
	if j.leeway == 0 {
		j.leeway = defaultLeeway
	}
	return j
}

// usesSecret reports whether the expected claims contain the secret.
func (j *jwt) usesSecret() bool {
	return j.audience.uses(refSecret) || slices.ContainsFunc(j.claims, func(c claim) bool { return c.want.uses(refSecret) })
}

// verifyJWT verifies a token's signature and then its claims.
func (v *verifier) verifyJWT(ctx context.Context, in *input, candidates []string, secrets []secret.Text) (int, error) {
	if len(candidates) != 1 {
		return -1, v.reject(ReasonMalformedSignature)
	}
	t, ok := parseToken(candidates[0])
	if !ok || t.algorithm != v.jwt.algorithm {
		return -1, v.reject(ReasonMalformedSignature)
	}
	defer func() { in.secret = "" }()
	if v.jwt.jwks == "" {
		index, err := v.verifyTokenHMAC(&t, secrets)
		if err != nil {
			return -1, err
		}
		in.secret = secrets[index].Reveal()
		if rejection := v.checkClaims(in, &t); rejection != nil {
			return -1, rejection
		}
		return index, nil
	}
	key, err := in.engine.keys.rsaKey(ctx, v.jwt.jwks, t.keyID)
	if err != nil && !errors.Is(err, errNoKey) {
		return -1, err
	}
	sum := sha256.Sum256([]byte(t.signed))
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) != nil {
		return -1, v.reject(ReasonBadSignature)
	}
	if !v.jwt.usesSecret() {
		if rejection := v.checkClaims(in, &t); rejection != nil {
			return -1, rejection
		}
		return -1, nil
	}
	// The provider's key set signs for all its customers. The configured value
	// says which of its tokens are for us.
	return v.trySecrets(secrets, func(text secret.Text) *Rejection {
		in.secret = text.Reveal()
		return v.checkClaims(in, &t)
	})
}

func (v *verifier) verifyTokenHMAC(t *token, secrets []secret.Text) (int, error) {
	return v.trySecrets(secrets, func(text secret.Text) *Rejection {
		key, ok := decodeKey(v.key, text)
		if !ok {
			return v.reject(ReasonBadSecret)
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(t.signed))
		if !hmac.Equal(h.Sum(nil), t.signature) {
			return v.reject(ReasonBadSignature)
		}
		return nil
	})
}

// checkClaims checks issuer, audience, the other expected claims, the digest of
// the body and the validity period.
func (v *verifier) checkClaims(in *input, t *token) *Rejection {
	issuer, _ := scalar(t.claims.Find("iss"))
	if len(v.jwt.issuers) > 0 && !slices.Contains(v.jwt.issuers, issuer) {
		return v.reject(ReasonWrongClaims)
	}
	if len(v.jwt.audience) > 0 && !t.hasAudience(v.jwt.audience.text(in)) {
		return v.reject(ReasonWrongClaims)
	}
	for _, c := range v.jwt.claims {
		got, ok := scalar(t.claims.Find(c.path...))
		want := c.want.text(in)
		if !ok || want == "" || got != want {
			return v.reject(ReasonWrongClaims)
		}
	}
	if v.bodyHash != nil && !v.bodyHash.matchesClaim(in, t.claims) {
		return v.reject(ReasonBadBodyHash)
	}
	return v.checkValidity(in.request.Now, t)
}

func (v *verifier) checkValidity(now time.Time, t *token) *Rejection {
	expires, ok := t.time("exp")
	if !ok {
		return v.reject(ReasonMissingTimestamp)
	}
	if age := now.Sub(expires); age > v.jwt.leeway {
		return &Rejection{Reason: ReasonStale, Scheme: v.scheme, Skew: age}
	}
	for _, name := range []string{"nbf", "iat"} {
		if t.claims.Find(name).Kind() == 0 {
			continue
		}
		from, ok := t.time(name)
		if !ok {
			return v.reject(ReasonMalformedTimestamp)
		}
		if ahead := from.Sub(now); ahead > v.jwt.leeway {
			return &Rejection{Reason: ReasonFuture, Scheme: v.scheme, Skew: -ahead}
		}
	}
	return nil
}
