package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

var now = time.Unix(1614265330, 0)

const key = "k3y"

// timestamped is HMAC-SHA256 over "<timestamp>.<body>" in hex.
func timestamped() *webhooks.Descriptor {
	return &webhooks.Descriptor{
		SecretField: "webhookSecret",
		Verify: []webhooks.Verification{{
			Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
			Signature: webhooks.Source{From: "header.X-Demo-Signature", Prefix: "sha256="},
			Signed:    "{timestamp}.{body}",
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Demo-Timestamp"}},
		}},
		Delivery: webhooks.Extraction{ID: "{header.X-Demo-Delivery}", Type: "{header.X-Demo-Event}"},
	}
}

// plain is HMAC-SHA256 over the body in hex, without a prefix.
func plain() *webhooks.Descriptor {
	return &webhooks.Descriptor{
		SecretField: "webhookSecret",
		Verify: []webhooks.Verification{{
			Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
			Signature: webhooks.Source{From: "header.X-Signature"},
			Signed:    "{body}",
		}},
	}
}

func mustCompile(tb testing.TB, w *webhooks.Descriptor) *webhook.Engine {
	tb.Helper()
	e, err := webhook.Compile(w, nil)
	if err != nil {
		tb.Fatalf("Compile: %v", err)
	}
	return e
}

func hmacHex(key, message string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return hex.EncodeToString(h.Sum(nil))
}

// signed is a request that timestamped accepts.
func signed(key string, body []byte) webhook.Request {
	at := strconv.FormatInt(now.Unix(), 10)
	h := http.Header{}
	h.Set("X-Demo-Signature", "sha256="+hmacHex(key, at+"."+string(body)))
	h.Set("X-Demo-Timestamp", at)
	h.Set("X-Demo-Delivery", "d-1")
	h.Set("X-Demo-Event", "message.created")
	return webhook.Request{Method: "POST", PublicURL: "https://hawser.example/x", Header: h, Body: body, Now: now}
}

// request is a POST of a body with one header.
func request(header, value, body string) webhook.Request {
	h := http.Header{}
	h.Set(header, value)
	return webhook.Request{Method: "POST", PublicURL: "https://hawser.example/x", Header: h, Body: []byte(body), Now: now}
}

func texts(values ...string) []secret.Text {
	var all []secret.Text
	for _, v := range values {
		all = append(all, secret.New(v))
	}
	return all
}

// reason returns why the request is refused: "" if it is accepted.
func reason(t *testing.T, e *webhook.Engine, r webhook.Request, secrets ...string) webhook.Reason {
	t.Helper()
	_, err := e.Verify(t.Context(), r, texts(secrets...))
	return reasonOf(t, err)
}

func reasonOf(t *testing.T, err error) webhook.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	rejection, ok := errors.AsType[*webhook.Rejection](err)
	if !ok {
		t.Fatalf("err = %v, want a *Rejection", err)
	}
	return rejection.Reason
}

func assertReason(t *testing.T, name any, got, want webhook.Reason) {
	t.Helper()
	if got != want {
		t.Errorf("%v: reason = %q, want %q", name, got, want)
	}
}

func TestVerifyAcceptsWhatTheSecretSigned(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	for _, body := range []string{"", "null", `{"a":1}`, "\xff\xfe not UTF-8", "\ufeff{}", strings.Repeat("[", 100_000), strings.Repeat("x", 1<<20)} {
		verified, err := e.Verify(t.Context(), signed(key, []byte(body)), texts("old", key))
		if err != nil {
			t.Errorf("body of %d bytes: %v", len(body), err)
			continue
		}
		if verified.Scheme != webhooks.SchemeHMAC || verified.Secret != 1 || !verified.Timestamp.Equal(now) {
			t.Errorf("Verified = %+v, want hmac by secret 1 at %v", verified, now)
		}
	}
}

func TestVerifyTriesEverySecretAndSkipsAbsentOnes(t *testing.T) {
	t.Parallel()
	e, r := mustCompile(t, timestamped()), signed(key, []byte("x"))
	for _, tc := range []struct {
		secrets []string
		want    webhook.Reason
	}{
		{[]string{key}, ""},
		{[]string{"", key}, ""},
		{[]string{"a", "b", "c", key}, ""},
		{[]string{"a"}, webhook.ReasonBadSignature},
		{[]string{key + " "}, webhook.ReasonBadSignature},
		{[]string{""}, webhook.ReasonNoSecret},
		{nil, webhook.ReasonNoSecret},
		{[]string{"\x00\x00"}, webhook.ReasonBadSecret},
	} {
		assertReason(t, fmt.Sprintf("secrets %q", tc.secrets), reason(t, e, r, tc.secrets...), tc.want)
	}
}

func TestVerifyReportsTheVerificationThatTheSenderMeant(t *testing.T) {
	t.Parallel()
	w := plain()
	second := timestamped().Verify[0]
	w.Verify = append(w.Verify, second)
	e := mustCompile(t, w)
	verified, err := e.Verify(t.Context(), signed(key, []byte("x")), texts(key))
	if err != nil || verified.Verifier != 1 {
		t.Errorf("Verified = %+v, %v, want verifier 1", verified, err)
	}
	assertReason(t, "signed with another secret", reason(t, e, signed("wrong", []byte("x")), key), webhook.ReasonBadSignature)
}

func TestUnsignedRequestsAreAcceptedOnlyIfDeclared(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, &webhooks.Descriptor{Verify: []webhooks.Verification{{Scheme: webhooks.SchemeUnsigned}}})
	verified, err := e.Verify(t.Context(), request("X", "y", "z"), nil)
	if err != nil || verified.Scheme != webhooks.SchemeUnsigned || verified.Secret != -1 {
		t.Errorf("Verified = %+v, %v, want unsigned and no secret", verified, err)
	}
}

func TestRejectionsShowNeitherSecretNorSignature(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f1d"
	e := mustCompile(t, timestamped())
	r := signed("another", []byte(canary))
	_, err := e.Verify(t.Context(), r, texts(canary))
	text := err.Error()
	for _, bad := range []string{canary, r.Header.Get("X-Demo-Signature")[7:], hmacHex(canary, "")} {
		if strings.Contains(text, bad) {
			t.Errorf("error %q shows %q", text, bad)
		}
	}
	if err := e.CheckSecret(secret.New(" " + canary)); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("CheckSecret = %v, want an error without the secret", err)
	}
}

func TestCompileRefusesInvalidDescriptors(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]*webhooks.Descriptor{
		"nil":             nil,
		"no verification": {},
		"unknown scheme":  {Verify: []webhooks.Verification{{Scheme: "magic"}}},
		"no hook":         {Verify: []webhooks.Verification{{Scheme: webhooks.SchemeHook}}},
	} {
		if e, err := webhook.Compile(w, nil); err == nil || e != nil {
			t.Errorf("%s: Compile = %v, %v, want an error", name, e, err)
		}
	}
}

func TestMethodsOfDeliveries(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	for method, want := range map[string]bool{"POST": true, "GET": false, "HEAD": false, "OPTIONS": false, "PUT": false, "post": false, "": false} {
		if got := e.Accepts(method); got != want {
			t.Errorf("Accepts(%q) = %v, want %v", method, got, want)
		}
	}
}
