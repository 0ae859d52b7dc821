package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// The body of a stored webhook can be read by the tenant that it belongs to, also if it is
// larger than a message, over HTTP and NATS.
func TestAStoredBodyCanBeReadByItsTenant(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("large", "")
	c.Webhook.MaxBody = 4 << 20
	s := serve(t, c)
	path := s.connect(t, "large")
	for i, body := range []string{strings.Repeat("x", 2<<20) + "end", `{"small":true}`} {
		if r := s.deliver(t, path, string(rune('a'+i)), body, "Content-Type", "application/json; charset=utf-8"); r.status != http.StatusAccepted {
			t.Fatalf("%d %.200s", r.status, r.body)
		}
		d, err := s.Queue.Streams.First(t.Context(), events.Webhooks, uint64(i+1), ">")
		testenv.Must(t, err)
		one := strings.TrimSuffix(ofAva, "/connections") + "/webhooks/" + d.ID()
		r := s.do(t, "GET", one+"/body", "")
		if r.status != http.StatusOK || r.body != body || r.header.Get("Content-Type") != "application/json;charset=utf-8" {
			t.Errorf("HTTP: %d, %d bytes of %s, want %d", r.status, len(r.body), r.header.Get("Content-Type"), len(body))
		}
		if r := s.do(t, "GET", strings.Replace(one, "ava", "bob", 1)+"/body", ""); r.status != http.StatusNotFound {
			t.Errorf("another tenant: %d %.200s, want 404", r.status, r.body)
		}
		if r := s.do(t, "GET", one+"/body", "", "Authorization", ""); r.status != http.StatusUnauthorized {
			t.Errorf("without a token: %d, want 401", r.status)
		}
		var got strings.Builder
		for offset := 0; ; {
			request, err := json.Marshal(map[string]any{"scope": "organization", "identity": "ava@example.com", "id": d.ID(), "offset": offset})
			testenv.Must(t, err)
			message, err := s.Queue.Bus.JetStream().Conn().RequestWithContext(t.Context(), s.Queue.Bus.Subjects.API("webhooks.body"), request)
			testenv.Must(t, err)
			var part struct {
				Data       []byte
				Size       int
				NextOffset *int `json:"next_offset"`
			}
			testenv.Must(t, json.Unmarshal(message.Data, &part))
			got.Write(part.Data)
			if part.Size != len(body) || part.NextOffset == nil {
				break
			}
			offset = *part.NextOffset
		}
		if got.String() != body {
			t.Errorf("NATS: %d bytes, want %d", got.Len(), len(body))
		}
	}
}

// A secret that a provider hands over, and that a person has to type in there, can be read
// once.
func TestACapturedSecretCanBeReadOnce(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("giver", "")
	c.Webhook.Handshakes = []webhooks.Handshake{{Name: "verification", Capture: webhooks.Source{From: "body.verification_token"}}}
	s := serve(t, c)
	const one = ofAva + "/giver"
	r := s.do(t, "PUT", one, `{"config":{"apiKey":"k-123456789"}}`)
	path := webhookPath(t, r)
	if r := s.do(t, "POST", one+"/captured-secret", ""); r.status == http.StatusOK {
		t.Errorf("before: %d %s", r.status, r.body)
	}
	if r := s.do(t, "POST", path, `{"verification_token":"secret_abcdefgh12345"}`, "Authorization", ""); r.status != http.StatusOK {
		t.Fatalf("handshake: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", one, ""); !strings.Contains(r.body, `"captured_secret":true`) || strings.Contains(r.body, "abcdefgh") {
		t.Errorf("the connection: %s, want it to say that there is a secret, masked", r.body)
	}
	if r := s.do(t, "POST", one+"/captured-secret", ""); r.status != http.StatusOK || r.body != "{\"secret\":\"secret_abcdefgh12345\"}\n" && r.body != `{"secret":"secret_abcdefgh12345"}` {
		t.Errorf("first: %d %s, want the secret", r.status, r.body)
	}
	if r := s.do(t, "POST", one+"/captured-secret", ""); r.status == http.StatusOK || strings.Contains(r.body, "abcdefgh") {
		t.Errorf("again: %d %s, want a refusal", r.status, r.body)
	}
}
