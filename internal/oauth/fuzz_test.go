package oauth

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

func FuzzTokenReply(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a","expires_in":"3600","scope":["x"]}`), "")
	f.Add(200, []byte(`access_token=a&scope=b%2Cc`), "data.0.token")
	f.Add(400, []byte(`{"error":"invalid_grant"}`), "")
	f.Add(200, []byte(`{"a":{"b":[{"c":1e400}]}}`), "a.b.0.c")
	now := time.Now()
	f.Fuzz(func(t *testing.T, status int, body []byte, path string) {
		o := &connectors.OAuth2{}
		if path != "" {
			o.TokenFields = map[string]string{"access_token": path, "expires_in": path}
		}
		got, failed := parseReply(o, status, http.Header{"Retry-After": {path}}, body, now)
		if failed == nil {
			if token := got.Access.Reveal(); token == "" || strings.ContainsAny(token, "\r\n\x00") {
				t.Errorf("status %d, %q: accepted the token %q", status, body, token)
			}
			if !got.ExpiresAt.IsZero() && got.ExpiresAt.Year() > 9999 {
				t.Errorf("%q: ends in the year %d", body, got.ExpiresAt.Year())
			}
			return
		}
		if failed.word != "" && failed.word != unlisted && cleanWord(failed.word) != failed.word {
			t.Errorf("%q: passed the provider's text %q on", body, failed.word)
		}
	})
}

func FuzzState(f *testing.F) {
	key := secret.New("key")
	_, h := newHandle(key)
	end := time.Unix(1_800_000_000, 0)
	good := h.state(key, end)
	f.Add(good)
	f.Add(good[:40])
	f.Fuzz(func(t *testing.T, text string) {
		got, expires, refusal := parseState(key, text)
		if refusal != nil {
			return
		}
		// What is accepted was made with the key, and has one spelling.
		if again := got.state(key, expires); again != text {
			t.Errorf("accepted %q, which is written %q", text, again)
		}
	})
}
