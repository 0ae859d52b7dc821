package endpoint

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
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
		got, failed := parseResponse(o, rawResponse{status, http.Header{"Retry-After": {path}}, body}, now)
		if failed == nil {
			if token := got.Access.Reveal(); token == "" || strings.ContainsAny(token, "\r\n\x00") {
				t.Errorf("status %d, %q: accepted the token %q", status, body, token)
			}
			companion, ok := got.Companion(o, map[string]string{"access_token": path, "expires_in": path, "scope": path}, now)
			if token := companion.Access.Reveal(); ok && (token == "" || strings.ContainsAny(token, "\r\n\x00")) {
				t.Errorf("%q: accepted the companion's token %q", body, token)
			}
			for _, ends := range []time.Time{got.ExpiresAt, companion.ExpiresAt} {
				if !ends.IsZero() && ends.Year() > 9999 {
					t.Errorf("%q: ends in the year %d", body, ends.Year())
				}
			}
			return
		}
		if failed.ProviderCode != "" && failed.ProviderCode != unlistedCode && KnownErrorCode(failed.ProviderCode) != failed.ProviderCode {
			t.Errorf("%q: passed the provider's text %q on", body, failed.ProviderCode)
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><r><a b="c">t</a><a/></r>`))
	f.Add([]byte(`<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>`))
	f.Add([]byte(strings.Repeat("<r>", 40) + strings.Repeat("</r>", 40)))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := decodeXML(body)
		if err != nil {
			return
		}
		if got := depthOf(doc); got > maxDepth {
			t.Errorf("%q: %d deep", body, got)
		}
		if bytes.Contains(body, []byte("<!DOCTYPE")) && !bytes.Contains(body, []byte("CDATA")) && !bytes.Contains(body, []byte("<!--")) && !bytes.Contains(body, []byte("<?")) {
			t.Errorf("%q: read a document with a DTD", body)
		}
		// Text that a response holds can be sent in a request, and is read as the same text.
		text, _ := valueAt(doc, "a").(string)
		back, err := decodeXML([]byte(encodeXML("r", url.Values{"x.y": {text}, "x.@z": {text}})))
		if err != nil || valueAt(back, "x.@z") != text || strings.TrimSpace(scalar(valueAt(back, "x.y"))) != strings.TrimSpace(text) {
			t.Errorf("%q came back as %v, %v", text, back, err)
		}
	})
}

func depthOf(doc any) int {
	deepest := 0
	switch at := doc.(type) {
	case map[string]any:
		for _, child := range at {
			deepest = max(deepest, depthOf(child))
		}
	case []any:
		for _, child := range at {
			deepest = max(deepest, depthOf(child)-1)
		}
	default:
		return 0
	}
	return deepest + 1
}
