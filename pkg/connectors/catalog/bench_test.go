package catalog_test

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
)

// BenchmarkDelivery is all that the engine does for a delivery of 1 KB: no
// handshake, verified, filed. The second kind looks into the body for it.
func BenchmarkDelivery(b *testing.B) {
	body := `{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{"type":"message","text":"` + strings.Repeat("x", 900) + `"}}`
	const at = "1790000000"
	for name, headers := range map[string][]string{
		"github": {"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(digest(body)), "X-GitHub-Delivery", "d", "X-GitHub-Event", "push"},
		"slack":  {"X-Slack-Signature", "v0=" + hexDigest("v0:"+at+":"+body), "X-Slack-Request-Timestamp", at},
	} {
		b.Run(name, func(b *testing.B) {
			w, _ := catalog.Webhook(name)
			e, err := webhook.Compile(&w, nil)
			if err != nil {
				b.Fatal(err)
			}
			r := webhook.Request{Method: "POST", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Now: now}
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			secrets := secretTexts([]string{key})
			b.ReportAllocs()
			for b.Loop() {
				if reply, err := e.Handshake(b.Context(), r, secrets, nil); reply != nil || err != nil {
					b.Fatal(reply, err)
				}
				if _, err := e.Verify(b.Context(), r, secrets); err != nil {
					b.Fatal(err)
				}
				if d := e.Extract(r); d.ID == "" {
					b.Fatal(d)
				}
			}
		})
	}
}
