package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestCheckSecretRefusesSecretsThatCannotVerify(t *testing.T) {
	t.Parallel()
	prefixed := plain()
	prefixed.Verify[0].Key = webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}
	basic := plain()
	basic.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeSharedSecret, Signature: webhooks.Source{From: "header.X"}}
	for _, tc := range []struct {
		name   string
		w      *webhooks.Descriptor
		secret string
		ok     bool
	}{
		{"text", plain(), "It's a secret to everybody", true},
		{"absent", plain(), "", false},
		{"blank", plain(), " \t\n", false},
		{"zeros", plain(), "00000000", false},
		{"zero bytes", plain(), "\x00\x00", false},
		{"space before", plain(), " s", false},
		{"line end after", plain(), "s\n", false},
		{"decoded", prefixed, "whsec_" + base64.StdEncoding.EncodeToString([]byte("a key of 16 byte")), true},
		{"a key of one byte", prefixed, "whsec_YQ==", false},
		{"a key of 15 bytes", prefixed, "whsec_" + base64.StdEncoding.EncodeToString([]byte("a key of 15 byt")), false},
		{"bad base64", prefixed, "whsec_not base64", false},
		{"prefix alone", prefixed, "whsec_", false},
		{"zeros inside", prefixed, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24)), false},
		{"shared", basic, "token", true},
		{"shared and absent", basic, "", false},
		{"hs256", bearer(&webhooks.JWT{Algorithm: "HS256"}), "client secret", true},
	} {
		if err := mustCompile(t, tc.w).CheckSecret(secret.New(tc.secret)); (err == nil) != tc.ok {
			t.Errorf("%s: CheckSecret = %v, want ok = %v", tc.name, err, tc.ok)
		}
	}
}

func TestSharedSecrets(t *testing.T) {
	t.Parallel()
	shared := func(from, prefix string, encoding webhooks.Encoding) *webhooks.Descriptor {
		w := plain()
		w.Verify[0] = webhooks.Verification{
			Scheme: webhooks.SchemeSharedSecret, Signature: webhooks.Source{From: from, Prefix: prefix}, Encoding: encoding,
		}
		return w
	}
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	inQuery := bare("POST", "token="+key, "")
	wrongInQuery := bare("POST", "token=x", "")
	twiceInQuery := bare("POST", "token="+key+"&token=x", "")
	for _, tc := range []struct {
		name string
		w    *webhooks.Descriptor
		r    webhook.Request
		key  string
		want webhook.Reason
	}{
		{"header", shared("header.X-Token", "", ""), request("X-Token", key, ""), key, ""},
		{"wrong", shared("header.X-Token", "", ""), request("X-Token", "x", ""), key, webhook.ReasonBadSignature},
		{"beginning of it", shared("header.X-Token", "", ""), request("X-Token", key[:2], ""), key, webhook.ReasonBadSignature},
		{"other case", shared("header.X-Token", "", ""), request("X-Token", "K3Y", ""), key, webhook.ReasonBadSignature},
		{"space after", shared("header.X-Token", "", ""), request("X-Token", key+" ", ""), key, webhook.ReasonBadSignature},
		{"empty", shared("header.X-Token", "", ""), request("X-Token", "", ""), key, webhook.ReasonMissingSignature},
		{"nothing configured", shared("header.X-Token", "", ""), request("X-Token", "", ""), "", webhook.ReasonMissingSignature},
		{"nothing configured, something sent", shared("header.X-Token", "", ""), request("X-Token", "x", ""), "", webhook.ReasonNoSecret},
		{"bearer", shared("header.Authorization", "Bearer ", ""), request("Authorization", "Bearer "+key, ""), key, ""},
		{"no bearer", shared("header.Authorization", "Bearer ", ""), request("Authorization", key, ""), key, webhook.ReasonMalformedSignature},
		{"basic", shared("header.Authorization", "Basic ", webhooks.EncodingBase64), request("Authorization", basic("u:p"), ""), "u:p", ""},
		{"wrong basic", shared("header.Authorization", "Basic ", webhooks.EncodingBase64), request("Authorization", basic("u:q"), ""), "u:p", webhook.ReasonBadSignature},
		{"no basic", shared("header.Authorization", "Basic ", webhooks.EncodingBase64), request("Authorization", "Basic %%", ""), "u:p", webhook.ReasonMalformedSignature},
		{"query", shared("query.token", "", ""), inQuery, key, ""},
		{"wrong query", shared("query.token", "", ""), wrongInQuery, key, webhook.ReasonBadSignature},
		{"repeated query", shared("query.token", "", ""), twiceInQuery, key, webhook.ReasonMalformedSignature},
		{"body", shared("body.a.token", "", ""), request("X", "y", `{"a":{"token":"`+key+`"}}`), key, ""},
		{"body without", shared("body.a.token", "", ""), request("X", "y", `{}`), key, webhook.ReasonMissingSignature},
		{"number in body", shared("body.token", "", ""), request("X", "y", `{"token":123}`), "123", ""},
	} {
		assertReason(t, tc.name, reason(t, mustCompile(t, tc.w), tc.r, tc.key), tc.want)
	}
}

func TestDigestsWithTheSecretInside(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Scheme, w.Verify[0].Signed = webhooks.SchemeDigest, "{secret}{body}"
	e := mustCompile(t, w)
	const digest = "6a5ebab9ebd0d32d4fd23025e8ac6a80cb64a4f7a7c4d3dde0f9fd5a3e4ee5e3"
	assertReason(t, "another digest", reason(t, e, request("X-Signature", digest, "b"), key), webhook.ReasonBadSignature)
	assertReason(t, "no secret", reason(t, e, request("X-Signature", digest, "b")), webhook.ReasonNoSecret)
}

func TestHooksVerifyOtherSchemes(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0] = webhooks.Verification{Scheme: webhooks.SchemeHook}
	w.Hook = func(_ context.Context, r *webhooks.Request, secrets []secret.Text) error {
		if r.Header.Get("X-Odd") != secrets[0].Reveal() {
			return errors.New("the hook's own error, with " + secrets[0].Reveal())
		}
		return nil
	}
	e := mustCompile(t, w)
	assertReason(t, "accepted by the hook", reason(t, e, request("X-Odd", key, ""), key), "")
	_, err := e.Verify(t.Context(), request("X-Odd", "x", ""), texts(key))
	if got := err.(*webhook.Rejection).Error(); got != "webhook refused: refused_by_hook (hook)" {
		t.Errorf("err = %q, want nothing of the hook's error", got)
	}
}
