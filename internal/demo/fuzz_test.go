package demo_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/demo"
)

// FuzzForeignTextIsNeverAFault sends text where codes, tokens, keys, URLs and
// bodies belong. The provider may say yes or no, but not fail.
func FuzzForeignTextIsNeverAFault(f *testing.F) {
	started := setup(f, &demo.Options{BaseURLs: []string{"https://app.example.com/hawser"}})
	for _, seed := range []string{
		"", "demo_", "dat_", "drt_" + strings.Repeat("A", 86), "dac_" + strings.Repeat("A", 54), "dac_" + strings.Repeat("A", 53) + "B",
		"http://[::1]:0/", "http://[::ffff:127.0.0.1]/%00", "https://app.example.com/hawser/..", "\xff\xfe", `{"text":"\ud800"}`, strings.Repeat("[", 1000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4<<10 {
			return // longer than anything that is read as a token or URL
		}
		b := *started
		b.t = t
		check := func(what string, a answer) {
			if a.Status >= 500 {
				t.Errorf("%s %q: got %d %s", what, s, a.Status, a.Body)
			}
		}
		for _, name := range []string{"code", "refresh_token", "scope", "grant_type"} {
			for _, kind := range []string{"authorization_code", "refresh_token", "client_credentials"} {
				v := asClient("grant_type", kind)
				v.Set(name, s)
				check(kind, b.form("/token", v))
			}
		}
		check("revoke", b.form("/revoke", asClient("token", s)))
		check("bearer", b.get("/api/me", url.QueryEscape(s)))
		check("redirect", b.do("GET", b.authorizeURL("redirect_uri", s), ""))
		check("challenge", b.do("GET", b.authorizeURL("code_challenge", s), ""))
		for _, path := range []string{"/api/messages", "/api/charges"} {
			check(path, b.post(path, key, s))
		}
	})
}
