package connectors_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// soundWebhook uses most of what a webhook can say, and passes its check.
func soundWebhook() *connectors.Webhook {
	return &connectors.Webhook{
		SecretField: "hooks.secret",
		TokenField:  "verifyToken",
		AppSecret:   connectors.AppClientSecret,
		Methods:     []string{"POST", "PUT"},
		MaxBody:     connectors.LargestMaxBody,
		Payload:     "payload",
		Verify: []connectors.Verification{{
			Scheme: connectors.SchemeHMAC, Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex,
			When:      []connectors.Match{{From: "header.X-Version", Equals: "2"}},
			Signature: connectors.Source{From: "header.X-Signature", Separator: ",", Prefix: "v2="},
			Signed:    "{id}.{timestamp}.{method}{url.decoded}[{query.a}]{body}",
			Key:       connectors.Key{Prefix: "whsec_", Encoding: connectors.EncodingBase64},
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "body.at"}, Format: connectors.RFC3339, Tolerance: connectors.Duration(time.Minute)},
			BodyHash:  &connectors.BodyHash{From: "header.X-Digest", Algorithm: connectors.SHA512, Encoding: connectors.EncodingBase64},
		}, {
			Scheme: connectors.SchemeJWT, Signature: connectors.Source{From: "header.Authorization", Prefix: "Bearer "},
			BodyHash: &connectors.BodyHash{From: "claim.digest", Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex},
			JWT:      &connectors.JWT{Algorithm: "RS256", JWKS: "https://keys.example/jwks", Audience: "{url}", Claims: map[string]string{"email": "{secret}"}},
		}},
		Delivery: connectors.Extraction{ID: "{header.X-Id|body.id}", Type: "{body.type~evt.}", Account: "{body.items.*.account}", Sequence: "{form.n}"},
		Handshakes: []connectors.Handshake{{
			Name: "challenge", When: []connectors.Match{{From: "body.challenge", Present: true}}, Verified: true,
			Respond: connectors.Response{
				HMAC: &connectors.ResponseHMAC{Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex, Over: "{body.challenge}"},
				JSON: map[string]string{"proof": "{hmac}"}, Headers: map[string]string{"X-Proof": "{hmac}"},
			},
		}},
		Answer: connectors.Answer{Status: 200, ContentType: "text/xml; charset=utf-8", Body: "<Response/>"},
	}
}

func TestASoundWebhookPassesItsCheck(t *testing.T) {
	t.Parallel()
	if err := soundWebhook().Check(); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesTheFieldOfEveryMistake(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want   string // beginning of a line of the error
		breaks func(w *connectors.Webhook)
	}{
		{"verify: empty", func(w *connectors.Webhook) { w.Verify = nil }},
		{"verify: 21 entries", func(w *connectors.Webhook) { w.Verify = make([]connectors.Verification, 21) }},
		{`verify.0.scheme: unknown "hmca"`, func(w *connectors.Webhook) { w.Verify[0].Scheme = "hmca" }},
		{`verify.0.scheme: unknown ""`, func(w *connectors.Webhook) { w.Verify[0].Scheme = "" }},
		{`verify.0.algorithm: unknown "md5"`, func(w *connectors.Webhook) { w.Verify[0].Algorithm = "md5" }},
		{`verify.0.algorithm: unknown ""`, func(w *connectors.Webhook) { w.Verify[0].Algorithm = "" }},
		{`verify.0.encoding: unknown "base32"`, func(w *connectors.Webhook) { w.Verify[0].Encoding = "base32" }},
		{`verify.0.encoding: unknown ""`, func(w *connectors.Webhook) { w.Verify[0].Encoding = "" }},
		{"verify.0.signature.from: missing", func(w *connectors.Webhook) { w.Verify[0].Signature = connectors.Source{} }},
		{`verify.0.signature.from: unknown reference "cookie.x"`, func(w *connectors.Webhook) { w.Verify[0].Signature.From = "cookie.x" }},
		{"verify.0.signature.from: {body} cannot", func(w *connectors.Webhook) { w.Verify[0].Signature.From = "body" }},
		{"verify.0.signature.from: {each.x} cannot", func(w *connectors.Webhook) { w.Verify[0].Signature.From = "each.x" }},
		{"verify.0.signed: has no placeholder", func(w *connectors.Webhook) { w.Verify[0].Signed = "" }},
		{"verify.0.signed: has no placeholder", func(w *connectors.Webhook) { w.Verify[0].Signed = "constant" }},
		{"verify.0.signed: template: { without }", func(w *connectors.Webhook) { w.Verify[0].Signed = "{body" }},
		{"verify.0.signed: {secret} cannot", func(w *connectors.Webhook) { w.Verify[0].Signed = "{secret}{body}" }},
		{"verify.0.signed: {timestamp} cannot", func(w *connectors.Webhook) { w.Verify[0].Timestamp = nil }},
		{"verify.0.signed: {id} cannot", func(w *connectors.Webhook) { w.Delivery.ID = "" }},
		{"verify.0.signed: {hmac} cannot", func(w *connectors.Webhook) { w.Verify[0].Signed = "{hmac}" }},
		{"verify.0.signed: {body.a.*}: *", func(w *connectors.Webhook) { w.Verify[0].Signed = "{body.a.*}" }},
		{`verify.0.key.encoding: unknown "pem"`, func(w *connectors.Webhook) { w.Verify[0].Key.Encoding = connectors.EncodingPEM }},
		{"verify.0.key.addresses: does not belong", func(w *connectors.Webhook) { w.Verify[0].Key.Addresses = []string{"https://a.example.com/x"} }},
		{"verify.0.key.certificate_url: does not belong", func(w *connectors.Webhook) { w.Verify[0].Key = connectors.Key{CertificateURL: "body.cert"} }},
		{`verify.0.timestamp.format: unknown "iso"`, func(w *connectors.Webhook) { w.Verify[0].Timestamp.Format = "iso" }},
		{"verify.0.timestamp.tolerance: -1s", func(w *connectors.Webhook) { w.Verify[0].Timestamp.Tolerance = connectors.Duration(-time.Second) }},
		{"verify.0.timestamp.tolerance: 25h0m0s", func(w *connectors.Webhook) { w.Verify[0].Timestamp.Tolerance = connectors.Duration(25 * time.Hour) }},
		{"verify.0.timestamp.from: missing", func(w *connectors.Webhook) { w.Verify[0].Timestamp.From = "" }},
		{"verify.0.each:", func(w *connectors.Webhook) { w.Verify[0].Each = "a..b" }},
		{"verify.0.body_hash.from:", func(w *connectors.Webhook) { w.Verify[0].BodyHash.From = "claim.x" }},
		{"verify.0.jwt: does not belong", func(w *connectors.Webhook) { w.Verify[0].JWT = &connectors.JWT{} }},
		{"verify.0.when.0: set exactly one", func(w *connectors.Webhook) { w.Verify[0].When[0].Present = true }},
		{"verify.0.when.0: set exactly one", func(w *connectors.Webhook) { w.Verify[0].When[0].Equals = "" }},
		{"verify.1.jwt: missing", func(w *connectors.Webhook) { w.Verify[1].JWT = nil }},
		{`verify.1.jwt.algorithm: unknown "none"`, func(w *connectors.Webhook) { w.Verify[1].JWT.Algorithm = "none" }},
		{`verify.1.jwt.jwks: "http://keys.example/"`, func(w *connectors.Webhook) { w.Verify[1].JWT.JWKS = "http://keys.example/" }},
		{"verify.1.jwt.jwks: HS256", func(w *connectors.Webhook) { w.Verify[1].JWT.Algorithm = "HS256" }},
		{"verify.1.jwt.audience: without issuer", func(w *connectors.Webhook) { w.Verify[1].JWT.Audience = "" }},
		{"verify.1.jwt.claims.email: {body} cannot", func(w *connectors.Webhook) { w.Verify[1].JWT.Claims["email"] = "{body}" }},
		{"verify.1.timestamp: does not belong", func(w *connectors.Webhook) { w.Verify[1].Timestamp = w.Verify[0].Timestamp }},
		{"verify.1.signed: does not belong", func(w *connectors.Webhook) { w.Verify[1].Signed = "{body}" }},
		{"verify.0.signed: does not belong", func(w *connectors.Webhook) {
			w.Verify[0] = connectors.Verification{Scheme: connectors.SchemeUnsigned, Signed: "{body}"}
		}},
		{"verify.0.signature: does not belong", func(w *connectors.Webhook) {
			w.Verify[0] = connectors.Verification{Scheme: connectors.SchemeUnsigned, Signature: connectors.Source{From: "header.X"}}
		}},
		{"verify.0.scheme: \"hook\" without", func(w *connectors.Webhook) { w.Verify[0] = connectors.Verification{Scheme: connectors.SchemeHook} }},
		{"verify.0.signed: a plain digest needs {secret}", func(w *connectors.Webhook) {
			w.Verify[0].Scheme, w.Verify[0].Key = connectors.SchemeDigest, connectors.Key{}
		}},
		{"verify.0.key: does not belong", func(w *connectors.Webhook) { w.Verify[0].Scheme = connectors.SchemeDigest }},
		{"verify: public keys and secrets", func(w *connectors.Webhook) {
			w.Verify[1] = connectors.Verification{Scheme: connectors.SchemeEd25519, Encoding: connectors.EncodingHex, Signature: connectors.Source{From: "header.X"}, Signed: "{body}", Key: connectors.Key{Encoding: connectors.EncodingHex}}
		}},
		{"verify.0.key.addresses: missing", func(w *connectors.Webhook) {
			w.Verify[0] = connectors.Verification{Scheme: connectors.SchemeRSA, Algorithm: connectors.SHA1, Encoding: connectors.EncodingBase64, Signature: connectors.Source{From: "body.s"}, Signed: "{body.m}", Key: connectors.Key{CertificateURL: "body.c"}}
		}},
		{"secret_field: missing", func(w *connectors.Webhook) { w.SecretField, w.AppSecret = "", "" }},
		{"secret_field: ", func(w *connectors.Webhook) { w.SecretField = "a..b" }},
		{"token_field: ", func(w *connectors.Webhook) { w.TokenField = "." }},
		{`app_secret: unknown "other"`, func(w *connectors.Webhook) { w.AppSecret = "other" }},
		{"max_body: -1", func(w *connectors.Webhook) { w.MaxBody = -1 }},
		{"max_body: 26214401", func(w *connectors.Webhook) { w.MaxBody = connectors.LargestMaxBody + 1 }},
		{`methods.0: "post"`, func(w *connectors.Webhook) { w.Methods[0] = "post" }},
		{`methods.1: "CONNECT"`, func(w *connectors.Webhook) { w.Methods[1] = "CONNECT" }},
		{"delivery.id: {secret} cannot", func(w *connectors.Webhook) { w.Delivery.ID = "{secret}" }},
		{"delivery.type: {body} cannot", func(w *connectors.Webhook) { w.Delivery.Type = "{body}" }},
		{"delivery.type: {body.*}: *", func(w *connectors.Webhook) { w.Delivery.Type = "{body.*}" }},
		{"handshakes.0.name: missing", func(w *connectors.Webhook) { w.Handshakes[0].Name = "" }},
		{"handshakes.0.when: missing", func(w *connectors.Webhook) { w.Handshakes[0].When = nil }},
		{"handshakes.0.verified: a secret that is captured", func(w *connectors.Webhook) { w.Handshakes[0].Capture.From = "header.X" }},
		{"handshakes.0.addresses: missing", func(w *connectors.Webhook) { w.Handshakes[0].Visit = "{body.u}" }},
		{"handshakes.0.verified: an address to visit", func(w *connectors.Webhook) { w.Handshakes[0].Visit, w.Handshakes[0].Verified = "{body.u}", false }},
		{"handshakes.0.token.from: missing beside", func(w *connectors.Webhook) { w.Handshakes[0].Token.Prefix = "x" }},
		{"handshakes.0.respond: set at most one", func(w *connectors.Webhook) { w.Handshakes[0].Respond.Text = "x" }},
		{"handshakes.0.respond.status: 302", func(w *connectors.Webhook) { w.Handshakes[0].Respond.Status = 302 }},
		{"handshakes.0.respond.json.proof: {secret} cannot", func(w *connectors.Webhook) { w.Handshakes[0].Respond.JSON["proof"] = "{secret}" }},
		{"handshakes.0.respond.json.proof: {hmac} cannot", func(w *connectors.Webhook) { w.Handshakes[0].Respond.HMAC = nil }},
		{`handshakes.0.respond.headers: "X Y"`, func(w *connectors.Webhook) { w.Handshakes[0].Respond.Headers["X Y"] = "z" }},
		{"handshakes.0.respond.hmac.over: has no", func(w *connectors.Webhook) { w.Handshakes[0].Respond.HMAC.Over = "" }},
		{"answer.status: 302", func(w *connectors.Webhook) { w.Answer.Status = 302 }},
		{"answer.body: a 204 has none", func(w *connectors.Webhook) { w.Answer.Status = 204 }},
		{"answer.content_type: belongs to a body", func(w *connectors.Webhook) { w.Answer.ContentType = "" }},
		{`answer.content_type: "no/" is none`, func(w *connectors.Webhook) { w.Answer.ContentType = "no/" }},
	} {
		w := soundWebhook()
		tc.breaks(w)
		err := w.Check()
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+tc.want) {
			t.Errorf("want a line %q, got:\n%v", tc.want, err)
		}
	}
}

func TestCheckReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	w := soundWebhook()
	w.MaxBody, w.Verify[0].Algorithm, w.Handshakes[0].Name = -1, "md5", ""
	if got := strings.Count(w.Check().Error(), "\n") + 1; got != 3 {
		t.Errorf("%d lines, want 3:\n%v", got, w.Check())
	}
}

func TestAHookStandsForWhatDataCannotSay(t *testing.T) {
	t.Parallel()
	w := connectors.Webhook{Verify: []connectors.Verification{{Scheme: connectors.SchemeHook}}}
	w.Hook = func(context.Context, *connectors.WebhookRequest, []secret.Text) error { return nil }
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

func TestNeedsSecret(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		verification connectors.Verification
		want         bool
	}{
		{connectors.Verification{Scheme: connectors.SchemeHMAC}, true},
		{connectors.Verification{Scheme: connectors.SchemeEd25519}, true},
		{connectors.Verification{Scheme: connectors.SchemeUnsigned}, false},
		{connectors.Verification{Scheme: connectors.SchemeHook}, false},
		{connectors.Verification{Scheme: connectors.SchemeRSA}, true},
		{connectors.Verification{Scheme: connectors.SchemeRSA, Key: connectors.Key{CertificateURL: "body.c"}}, false},
		{connectors.Verification{Scheme: connectors.SchemeJWT, JWT: &connectors.JWT{Algorithm: "HS256"}}, true},
		{connectors.Verification{Scheme: connectors.SchemeJWT, JWT: &connectors.JWT{JWKS: "https://x"}}, false},
		{connectors.Verification{Scheme: connectors.SchemeJWT, JWT: &connectors.JWT{JWKS: "https://x", Audience: "{secret}"}}, true},
	} {
		w := connectors.Webhook{Verify: []connectors.Verification{tc.verification}}
		if got := w.NeedsSecret(); got != tc.want {
			t.Errorf("%+v: NeedsSecret = %v, want %v", tc.verification, got, tc.want)
		}
	}
}
