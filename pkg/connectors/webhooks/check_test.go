package webhooks_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// validWebhook uses most of what a webhook can say, and passes its check.
func validWebhook() *webhooks.Descriptor {
	return &webhooks.Descriptor{
		SecretField: "hooks.secret",
		TokenField:  "verifyToken",
		AppSecret:   webhooks.AppClientSecret,
		Methods:     []string{"POST", "PUT"},
		MaxBody:     webhooks.LargestMaxBody,
		Payload:     "payload",
		Verify: []webhooks.Verification{{
			Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
			When:      []webhooks.Match{{From: "header.X-Version", Equals: "2"}},
			Signature: webhooks.Source{From: "header.X-Signature", Separator: ",", Prefix: "v2="},
			Signed:    "{id}.{timestamp}.{method}{url.decoded}[{query.a}]{body}",
			Key:       webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64},
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "body.at"}, Format: webhooks.RFC3339, Tolerance: webhooks.Duration(time.Minute)},
			BodyHash:  &webhooks.BodyHash{From: "header.X-Digest", Algorithm: webhooks.SHA512, Encoding: webhooks.EncodingBase64},
		}, {
			Scheme: webhooks.SchemeJWT, Signature: webhooks.Source{From: "header.Authorization", Prefix: "Bearer "},
			BodyHash: &webhooks.BodyHash{From: "claim.digest", Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex},
			JWT:      &webhooks.JWT{Algorithm: "RS256", JWKS: "https://keys.example/jwks", Audience: "{url}", Claims: map[string]string{"email": "{secret}"}},
		}},
		Delivery: webhooks.Extraction{ID: "{header.X-Id|body.id}", Type: "{body.type~evt.}", Account: "{body.items.*.account}", Sequence: "{form.n}"},
		Handshakes: []webhooks.Handshake{{
			Name: "challenge", When: []webhooks.Match{{From: "body.challenge", Present: true}}, Verified: true,
			Respond: webhooks.Response{
				HMAC: &webhooks.ResponseHMAC{Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Over: "{body.challenge}"},
				JSON: map[string]string{"proof": "{hmac}"}, Headers: map[string]string{"X-Proof": "{hmac}"},
			},
		}},
		Answer: webhooks.Answer{Status: 200, ContentType: "text/xml; charset=utf-8", Body: "<Response/>"},
	}
}

func TestCheckAcceptsAValidWebhook(t *testing.T) {
	t.Parallel()
	if err := validWebhook().Check(); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesTheFieldOfEveryProblem(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want   string // how a problem begins
		breaks func(w *webhooks.Descriptor)
	}{
		{"verify: is empty", func(w *webhooks.Descriptor) { w.Verify = nil }},
		{"verify: has 21 entries", func(w *webhooks.Descriptor) { w.Verify = make([]webhooks.Verification, 21) }},
		{`verify.0.scheme: is unknown: "hmca"`, func(w *webhooks.Descriptor) { w.Verify[0].Scheme = "hmca" }},
		{`verify.0.scheme: is unknown: ""`, func(w *webhooks.Descriptor) { w.Verify[0].Scheme = "" }},
		{`verify.0.algorithm: is unknown: "md5"`, func(w *webhooks.Descriptor) { w.Verify[0].Algorithm = "md5" }},
		{`verify.0.algorithm: is unknown: ""`, func(w *webhooks.Descriptor) { w.Verify[0].Algorithm = "" }},
		{`verify.0.encoding: is unknown: "base32"`, func(w *webhooks.Descriptor) { w.Verify[0].Encoding = "base32" }},
		{`verify.0.encoding: is unknown: ""`, func(w *webhooks.Descriptor) { w.Verify[0].Encoding = "" }},
		{"verify.0.signature.from: is required", func(w *webhooks.Descriptor) { w.Verify[0].Signature = webhooks.Source{} }},
		{`verify.0.signature.from: unknown reference "cookie.x"`, func(w *webhooks.Descriptor) { w.Verify[0].Signature.From = "cookie.x" }},
		{"verify.0.signature.from: {body} cannot", func(w *webhooks.Descriptor) { w.Verify[0].Signature.From = "body" }},
		{"verify.0.signature.from: {each.x} cannot", func(w *webhooks.Descriptor) { w.Verify[0].Signature.From = "each.x" }},
		{"verify.0.signed: has no placeholder", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "" }},
		{"verify.0.signed: has no placeholder", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "constant" }},
		{"verify.0.signed: template: { without }", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "{body" }},
		{"verify.0.signed: {secret} cannot", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "{secret}{body}" }},
		{"verify.0.signed: {timestamp} cannot", func(w *webhooks.Descriptor) { w.Verify[0].Timestamp = nil }},
		{"verify.0.signed: {id} cannot", func(w *webhooks.Descriptor) { w.Delivery.ID = "" }},
		{"verify.0.signed: {hmac} cannot", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "{hmac}" }},
		{"verify.0.signed: {body.a.*}: *", func(w *webhooks.Descriptor) { w.Verify[0].Signed = "{body.a.*}" }},
		{`verify.0.key.encoding: is unknown: "pem"`, func(w *webhooks.Descriptor) { w.Verify[0].Key.Encoding = webhooks.EncodingPEM }},
		{"verify.0.key.addresses: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[0].Key.Addresses = []string{"https://a.example.com/x"} }},
		{"verify.0.key.certificate_url: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[0].Key = webhooks.Key{CertificateURL: "body.cert"} }},
		{`verify.0.timestamp.format: is unknown: "iso"`, func(w *webhooks.Descriptor) { w.Verify[0].Timestamp.Format = "iso" }},
		{"verify.0.timestamp.tolerance: -1s", func(w *webhooks.Descriptor) { w.Verify[0].Timestamp.Tolerance = webhooks.Duration(-time.Second) }},
		{"verify.0.timestamp.tolerance: 25h0m0s", func(w *webhooks.Descriptor) { w.Verify[0].Timestamp.Tolerance = webhooks.Duration(25 * time.Hour) }},
		{"verify.0.timestamp.from: is required", func(w *webhooks.Descriptor) { w.Verify[0].Timestamp.From = "" }},
		{"verify.0.each:", func(w *webhooks.Descriptor) { w.Verify[0].Each = "a..b" }},
		{"verify.0.body_hash.from:", func(w *webhooks.Descriptor) { w.Verify[0].BodyHash.From = "claim.x" }},
		{"verify.0.jwt: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[0].JWT = &webhooks.JWT{} }},
		{"verify.0.when.0: must have exactly one", func(w *webhooks.Descriptor) { w.Verify[0].When[0].Present = true }},
		{"verify.0.when.0: must have exactly one", func(w *webhooks.Descriptor) { w.Verify[0].When[0].Equals = "" }},
		{"verify.1.jwt: is required", func(w *webhooks.Descriptor) { w.Verify[1].JWT = nil }},
		{`verify.1.jwt.algorithm: is unknown: "none"`, func(w *webhooks.Descriptor) { w.Verify[1].JWT.Algorithm = "none" }},
		{`verify.1.jwt.jwks: "http://keys.example/"`, func(w *webhooks.Descriptor) { w.Verify[1].JWT.JWKS = "http://keys.example/" }},
		{"verify.1.jwt.jwks: cannot be used with HS256", func(w *webhooks.Descriptor) { w.Verify[1].JWT.Algorithm = "HS256" }},
		{"verify.1.jwt.audience: is required", func(w *webhooks.Descriptor) { w.Verify[1].JWT.Audience = "" }},
		{"verify.1.jwt.claims.email: {body} cannot", func(w *webhooks.Descriptor) { w.Verify[1].JWT.Claims["email"] = "{body}" }},
		{"verify.1.timestamp: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[1].Timestamp = w.Verify[0].Timestamp }},
		{"verify.1.signed: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[1].Signed = "{body}" }},
		{"verify.0.signed: cannot be used with", func(w *webhooks.Descriptor) {
			w.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeUnsigned, Signed: "{body}"}
		}},
		{"verify.0.signature: cannot be used with", func(w *webhooks.Descriptor) {
			w.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeUnsigned, Signature: webhooks.Source{From: "header.X"}}
		}},
		{"verify.0.scheme: \"hook\" needs", func(w *webhooks.Descriptor) { w.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeHook} }},
		{"verify.0.signed: must contain {secret}", func(w *webhooks.Descriptor) {
			w.Verify[0].Scheme, w.Verify[0].Key = webhooks.SchemeDigest, webhooks.Key{}
		}},
		{"verify.0.key: cannot be used with", func(w *webhooks.Descriptor) { w.Verify[0].Scheme = webhooks.SchemeDigest }},
		{"verify: cannot mix public keys", func(w *webhooks.Descriptor) {
			w.Verify[1] = webhooks.Verification{Scheme: webhooks.SchemeEd25519, Encoding: webhooks.EncodingHex, Signature: webhooks.Source{From: "header.X"}, Signed: "{body}", Key: webhooks.Key{Encoding: webhooks.EncodingHex}}
		}},
		{"verify.0.key.addresses: is required", func(w *webhooks.Descriptor) {
			w.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeRSA, Algorithm: webhooks.SHA1, Encoding: webhooks.EncodingBase64, Signature: webhooks.Source{From: "body.s"}, Signed: "{body.m}", Key: webhooks.Key{CertificateURL: "body.c"}}
		}},
		{"secret_field: is required", func(w *webhooks.Descriptor) { w.SecretField, w.AppSecret = "", "" }},
		{"secret_field: ", func(w *webhooks.Descriptor) { w.SecretField = "a..b" }},
		{"token_field: ", func(w *webhooks.Descriptor) { w.TokenField = "." }},
		{`app_secret: is unknown: "other"`, func(w *webhooks.Descriptor) { w.AppSecret = "other" }},
		{"max_body: -1", func(w *webhooks.Descriptor) { w.MaxBody = -1 }},
		{"max_body: 26214401", func(w *webhooks.Descriptor) { w.MaxBody = webhooks.LargestMaxBody + 1 }},
		{`methods.0: "post"`, func(w *webhooks.Descriptor) { w.Methods[0] = "post" }},
		{`methods.1: "CONNECT"`, func(w *webhooks.Descriptor) { w.Methods[1] = "CONNECT" }},
		{"delivery.id: {secret} cannot", func(w *webhooks.Descriptor) { w.Delivery.ID = "{secret}" }},
		{"delivery.type: {body} cannot", func(w *webhooks.Descriptor) { w.Delivery.Type = "{body}" }},
		{"delivery.type: {body.*}: *", func(w *webhooks.Descriptor) { w.Delivery.Type = "{body.*}" }},
		{"handshakes.0.name: is required", func(w *webhooks.Descriptor) { w.Handshakes[0].Name = "" }},
		{"handshakes.0.when: is required", func(w *webhooks.Descriptor) { w.Handshakes[0].When = nil }},
		{"handshakes.0.verified: cannot be used with capture", func(w *webhooks.Descriptor) { w.Handshakes[0].Capture.From = "header.X" }},
		{"handshakes.0.addresses: is required", func(w *webhooks.Descriptor) { w.Handshakes[0].Visit = "{body.u}" }},
		{"handshakes.0.verified: is required with visit", func(w *webhooks.Descriptor) { w.Handshakes[0].Visit, w.Handshakes[0].Verified = "{body.u}", false }},
		{"handshakes.0.token.from: is required because", func(w *webhooks.Descriptor) { w.Handshakes[0].Token.Prefix = "x" }},
		{"handshakes.0.respond: must have at most one", func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.Text = "x" }},
		{"handshakes.0.respond.status: 302", func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.Status = 302 }},
		{"handshakes.0.respond.json.proof: {secret} cannot", func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.JSON["proof"] = "{secret}" }},
		{"handshakes.0.respond.json.proof: {hmac} cannot", func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.HMAC = nil }},
		{`handshakes.0.respond.headers: "X Y"`, func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.Headers["X Y"] = "z" }},
		{"handshakes.0.respond.hmac.over: has no", func(w *webhooks.Descriptor) { w.Handshakes[0].Respond.HMAC.Over = "" }},
		{"answer.status: 302", func(w *webhooks.Descriptor) { w.Answer.Status = 302 }},
		{"answer.body: is not allowed", func(w *webhooks.Descriptor) { w.Answer.Status = 204 }},
		{"answer.content_type: must be set with a body", func(w *webhooks.Descriptor) { w.Answer.ContentType = "" }},
		{`answer.content_type: "no/" is not`, func(w *webhooks.Descriptor) { w.Answer.ContentType = "no/" }},
	} {
		w := validWebhook()
		tc.breaks(w)
		if !slices.ContainsFunc(problems(w), func(problem string) bool { return strings.HasPrefix(problem, tc.want) }) {
			t.Errorf("got %q, want one that begins with %q", problems(w), tc.want)
		}
	}
}

// problems returns what Check reports, as "path: message".
func problems(w *webhooks.Descriptor) (all []string) {
	wrong, _ := errors.AsType[schema.FieldErrors](w.Check())
	for _, e := range wrong {
		all = append(all, e.Path+": "+e.Message)
	}
	return all
}

func TestCheckReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	w := validWebhook()
	w.MaxBody, w.Verify[0].Algorithm, w.Handshakes[0].Name = -1, "md5", ""
	if got := problems(w); len(got) != 3 {
		t.Errorf("got %q, want 3 problems", got)
	}
}

func TestCheckAcceptsASchemeHookWithAHook(t *testing.T) {
	t.Parallel()
	w := webhooks.Descriptor{Verify: []webhooks.Verification{{Scheme: webhooks.SchemeHook}}}
	w.Hook = func(context.Context, *webhooks.Request, []secret.Text) error { return nil }
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

func TestNeedsSecret(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		verification webhooks.Verification
		want         bool
	}{
		{webhooks.Verification{Scheme: webhooks.SchemeHMAC}, true},
		{webhooks.Verification{Scheme: webhooks.SchemeEd25519}, true},
		{webhooks.Verification{Scheme: webhooks.SchemeUnsigned}, false},
		{webhooks.Verification{Scheme: webhooks.SchemeHook}, false},
		{webhooks.Verification{Scheme: webhooks.SchemeRSA}, true},
		{webhooks.Verification{Scheme: webhooks.SchemeRSA, Key: webhooks.Key{CertificateURL: "body.c"}}, false},
		{webhooks.Verification{Scheme: webhooks.SchemeJWT, JWT: &webhooks.JWT{Algorithm: "HS256"}}, true},
		{webhooks.Verification{Scheme: webhooks.SchemeJWT, JWT: &webhooks.JWT{JWKS: "https://x"}}, false},
		{webhooks.Verification{Scheme: webhooks.SchemeJWT, JWT: &webhooks.JWT{JWKS: "https://x", Audience: "{secret}"}}, true},
	} {
		w := webhooks.Descriptor{Verify: []webhooks.Verification{tc.verification}}
		if got := w.NeedsSecret(); got != tc.want {
			t.Errorf("%+v: NeedsSecret = %v, want %v", tc.verification, got, tc.want)
		}
	}
}
