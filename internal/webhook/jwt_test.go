package webhook_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

type claims map[string]any

// valid are claims that bearer accepts.
func valid() claims {
	return claims{"iss": "https://issuer.example", "aud": "https://hawser.example/x", "exp": now.Unix() + 60, "iat": now.Unix(), "sub": "s"}
}

func with(name string, value any) claims {
	c := valid()
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

// token signs claims; sign gets what the signature is over.
func token(tb testing.TB, header string, c claims, sign func(string) []byte) string {
	tb.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	over := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(text)
	return over + "." + base64.RawURLEncoding.EncodeToString(sign(over))
}

func hs256(over string) []byte { return sum(sha256.New, key, over) }

const hs256Header = `{"alg":"HS256","typ":"JWT"}`

func bearer(j *webhooks.JWT) *webhooks.Descriptor {
	return &webhooks.Descriptor{
		SecretField: "webhookSecret",
		Verify: []webhooks.Verification{{
			Scheme: webhooks.SchemeJWT, Signature: webhooks.Source{From: "header.Authorization", Prefix: "Bearer "}, JWT: j,
		}},
	}
}

func strictHS256() *webhooks.JWT {
	return &webhooks.JWT{
		Algorithm: "HS256", Issuer: []string{"https://other.example", "https://issuer.example"}, Audience: "{url}", Claims: map[string]string{"sub": "s"},
	}
}

func TestTokensSignedWithTheSecret(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, bearer(strictHS256()))
	for _, tc := range []struct {
		name   string
		claims claims
		want   webhook.Reason
	}{
		{"valid", valid(), ""},
		{"audience in a list", with("aud", []string{"x", "https://hawser.example/x"}), ""},
		{"fractional times", with("exp", float64(now.Unix())+0.5), ""},
		{"expired within the leeway", with("exp", now.Unix()-60), ""},
		{"expired", with("exp", now.Unix()-61), webhook.ReasonStale},
		{"without exp", with("exp", nil), webhook.ReasonMissingTimestamp},
		{"exp as text", with("exp", "1614265390"), webhook.ReasonMissingTimestamp},
		{"exp beyond time", with("exp", 1e300), webhook.ReasonMissingTimestamp},
		{"not yet valid", with("nbf", now.Unix()+61), webhook.ReasonFuture},
		{"issued later", with("iat", now.Unix()+61), webhook.ReasonFuture},
		{"nbf as text", with("nbf", "x"), webhook.ReasonMalformedTimestamp},
		{"other issuer", with("iss", "https://evil.example"), webhook.ReasonWrongClaims},
		{"no issuer", with("iss", nil), webhook.ReasonWrongClaims},
		{"issuers in a list", with("iss", []string{"https://issuer.example"}), webhook.ReasonWrongClaims},
		{"other audience", with("aud", "https://hawser.example/y"), webhook.ReasonWrongClaims},
		{"no audience", with("aud", nil), webhook.ReasonWrongClaims},
		{"empty audiences", with("aud", []string{}), webhook.ReasonWrongClaims},
		{"other claim", with("sub", "t"), webhook.ReasonWrongClaims},
		{"no claim", with("sub", nil), webhook.ReasonWrongClaims},
	} {
		r := request("Authorization", "Bearer "+token(t, hs256Header, tc.claims, hs256), "b")
		assertReason(t, tc.name, reason(t, e, r, "old", key), tc.want)
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, bearer(strictHS256()))
	good := token(t, hs256Header, valid(), hs256)
	parts := strings.Split(good, ".")
	nothing := func(string) []byte { return nil }
	for name, value := range map[string]string{
		"alg none":             token(t, `{"alg":"none"}`, valid(), nothing),
		"alg None":             token(t, `{"alg":"None"}`, valid(), nothing),
		"no alg":               token(t, `{"typ":"JWT"}`, valid(), hs256),
		"other alg":            token(t, `{"alg":"HS512"}`, valid(), hs256),
		"RS256 for HS256":      token(t, `{"alg":"RS256"}`, valid(), hs256),
		"alg twice":            token(t, `{"alg":"HS256","alg":"none"}`, valid(), hs256),
		"critical":             token(t, `{"alg":"HS256","crit":["b64"],"b64":false}`, valid(), hs256),
		"header no object":     token(t, `["HS256"]`, valid(), hs256),
		"two parts":            parts[0] + "." + parts[1],
		"four parts":           good + ".x",
		"empty signature":      parts[0] + "." + parts[1] + ".",
		"padded":               good + "=",
		"standard alphabet":    strings.ReplaceAll(strings.ReplaceAll(good, "-", "+"), "_", "/") + "/",
		"line end":             good + "\n",
		"a megabyte":           strings.Repeat("a", 1<<20),
		"dots":                 "..",
		"signature of another": parts[0] + "." + parts[1] + "." + strings.Split(token(t, hs256Header, with("x", 1), hs256), ".")[2],
	} {
		got := reason(t, e, request("Authorization", "Bearer "+value, "b"), key)
		if got != webhook.ReasonMalformedSignature && got != webhook.ReasonBadSignature {
			t.Errorf("%s: reason = %q, want a refusal of its form or signature", name, got)
		}
	}
	for _, value := range []string{good, "bearer " + good, "Bearer  " + good, "Basic " + good} {
		if got := reason(t, e, request("Authorization", value, "b"), key); got == "" {
			t.Errorf("%.12q…: accepted", value)
		}
	}
}

func TestTokensMayCoverTheBody(t *testing.T) {
	t.Parallel()
	w := bearer(&webhooks.JWT{Algorithm: "HS256"})
	w.Verify[0].BodyHash = &webhooks.BodyHash{From: "claim.payload.hash", Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex}
	e := mustCompile(t, w)
	digest := sha256.Sum256([]byte("b"))
	hash := hex.EncodeToString(digest[:])
	for name, tc := range map[string]struct {
		claims claims
		body   string
		want   webhook.Reason
	}{
		"right":      {with("payload", claims{"hash": hash}), "b", ""},
		"other body": {with("payload", claims{"hash": hash}), "c", webhook.ReasonBadBodyHash},
		"missing":    {valid(), "b", webhook.ReasonBadBodyHash},
		"upper case": {with("payload", claims{"hash": strings.ToUpper(hash)}), "b", webhook.ReasonBadBodyHash},
		"no text":    {with("payload", claims{"hash": 1}), "b", webhook.ReasonBadBodyHash},
		"truncated":  {with("payload", claims{"hash": hash[:62]}), "b", webhook.ReasonBadBodyHash},
	} {
		r := request("Authorization", "Bearer "+token(t, hs256Header, tc.claims, hs256), tc.body)
		assertReason(t, name, reason(t, e, r, key), tc.want)
	}
	w.Verify[0].BodyHash.Optional = true
	r := request("Authorization", "Bearer "+token(t, hs256Header, valid(), hs256), "b")
	assertReason(t, "optional and missing", reason(t, mustCompile(t, w), r, key), "")
}

func rs256(tb testing.TB, private *rsa.PrivateKey) func(string) []byte {
	return func(over string) []byte {
		digest := sha256.Sum256([]byte(over))
		signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		if err != nil {
			tb.Fatal(err)
		}
		return signature
	}
}

func TestASharedKeySetNeedsAClaimThatIsOurs(t *testing.T) {
	t.Parallel()
	set := newKeyServer(t, "k1")
	e, err := webhook.Compile(bearer(&webhooks.JWT{
		Algorithm: "RS256", JWKS: keyServerURL, Audience: "{url}", Claims: map[string]string{"email": "{secret}"},
	}), &webhook.Options{Keys: set.keys(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for email, want := range map[string]webhook.Reason{"ours@example.com": "", "theirs@example.com": webhook.ReasonWrongClaims, "": webhook.ReasonWrongClaims} {
		r := request("Authorization", "Bearer "+token(t, `{"alg":"RS256","kid":"k1"}`, with("email", email), rs256(t, set.private["k1"])), "b")
		assertReason(t, email, reason(t, e, r, "former@example.com", "ours@example.com"), want)
	}
	r := request("Authorization", "Bearer "+token(t, `{"alg":"RS256","kid":"k1"}`, with("email", "ours@example.com"), rs256(t, set.private["k1"])), "b")
	assertReason(t, "nothing configured", reason(t, e, r), webhook.ReasonNoSecret)
	// A public key must not do as the secret of HS256.
	public := base64.RawURLEncoding.EncodeToString(set.private["k1"].N.Bytes())
	confused := token(t, hs256Header, with("email", "ours@example.com"), func(over string) []byte { return sum(sha256.New, public, over) })
	assertReason(t, "HS256 with the public key", reason(t, e, request("Authorization", "Bearer "+confused, "b"), public), webhook.ReasonMalformedSignature)
}
