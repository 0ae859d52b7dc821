package webhook_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// A provider may sign what it has compressed afterwards.
func TestACompressedBodyIsVerifiedAsPlainText(t *testing.T) {
	t.Parallel()
	const key = "a webhook secret"
	d := webhooks.Descriptor{Decompress: true, MaxBody: 1000, SecretField: "s", Delivery: webhooks.Extraction{ID: "{body.id}"}, Verify: []webhooks.Verification{{
		Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}",
	}}}
	request := func(body []byte) webhook.Request {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		_, _ = w.Write(body)
		_ = w.Close()
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(body)
		return webhook.Request{Method: "POST", Body: compressed.Bytes(), Header: http.Header{"Content-Encoding": {"gzip"}, "X-Signature": {hex.EncodeToString(mac.Sum(nil))}}}
	}
	for _, tc := range []struct {
		decompress bool
		body       []byte
		ok         bool
	}{{true, []byte(`{"id":"d1"}`), true}, {false, []byte(`{"id":"d1"}`), false}, {true, bytes.Repeat([]byte("a"), 1001), false}} {
		own := d
		own.Decompress = tc.decompress
		e, err := webhook.Compile(&own, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := request(tc.body)
		_, err = e.Verify(t.Context(), r, []secret.Text{secret.New(key)})
		if (err == nil) != tc.ok {
			t.Errorf("decompress %v, %d bytes: got %v, want accepted: %v", tc.decompress, len(tc.body), err, tc.ok)
		}
		if got := e.Extract(r).ID; tc.ok && got != "d1" {
			t.Errorf("id: got %q, want d1", got)
		}
	}
}
