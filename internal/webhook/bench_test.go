package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

var now = time.Unix(1614265330, 0)

// timestamped is HMAC-SHA256 over "<timestamp>.<body>" in hex, the commonest
// scheme of all.
func timestamped() *connectors.Webhook {
	return &connectors.Webhook{
		SecretField: "webhookSecret",
		Verify: []connectors.Verification{{
			Scheme: connectors.SchemeHMAC, Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex,
			Signature: connectors.Source{From: "header.X-Demo-Signature", Prefix: "sha256="},
			Signed:    "{timestamp}.{body}",
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.X-Demo-Timestamp"}},
		}},
		Delivery: connectors.Extraction{ID: "{header.X-Demo-Delivery}", Type: "{header.X-Demo-Event}"},
	}
}

func mustCompile(tb testing.TB, w *connectors.Webhook) *webhook.Engine {
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

func signedRequest(key string, body []byte) webhook.Request {
	at := strconv.FormatInt(now.Unix(), 10)
	h := http.Header{}
	h.Set("X-Demo-Signature", "sha256="+hmacHex(key, at+"."+string(body)))
	h.Set("X-Demo-Timestamp", at)
	h.Set("X-Demo-Delivery", "d-1")
	h.Set("X-Demo-Event", "message.created")
	return webhook.Request{Method: "POST", PublicURL: "https://hawser.example/x", Header: h, Body: body, Now: now}
}

func BenchmarkVerifyOneKilobyte(b *testing.B) {
	e := mustCompile(b, timestamped())
	r := signedRequest("k3y", bytes.Repeat([]byte("x"), 1024))
	secrets := []secret.Text{secret.New("k3y")}
	b.ReportAllocs()
	b.SetBytes(int64(len(r.Body)))
	for b.Loop() {
		if _, err := e.Verify(b.Context(), r, secrets); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtractFromHeaders(b *testing.B) {
	e := mustCompile(b, timestamped())
	r := signedRequest("k3y", bytes.Repeat([]byte("x"), 1024))
	b.ReportAllocs()
	for b.Loop() {
		if d := e.Extract(r); d.ID != "d-1" {
			b.Fatal(d)
		}
	}
}
