package api_test

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress/api"
)

func TestAnIdentityInAPathIsOneTenant(t *testing.T) {
	t.Parallel()
	const scopes = "/api/v1/scopes/"
	for target, want := range map[string]string{
		scopes + "organization/a/connections":                                "a",
		scopes + "organization/a%2Fb/connections":                            "a/b",
		scopes + "organization/a%2fb/connections":                            "a/b",
		scopes + "organization/%2e%2e/connections":                           "..",
		scopes + "organization/a@b.c/connections":                            "a@b.c",
		scopes + "organization/a%40b.c/connections":                          "a@b.c",
		scopes + "organization/%3D/connections":                              "=",
		scopes + "organization/a%20b%00%0d%0a/connections":                   "a b\x00\r\n",
		scopes + "organization/%2A/connections":                              "*",
		scopes + "organization/%3E/connections":                              ">",
		scopes + "organization/%C3%BC/connections":                           "ü",
		scopes + "organization/%25/connections":                              "%",
		scopes + "organization/" + strings.Repeat("x", 128) + "/connections": strings.Repeat("x", 128),
		scopes + "system/=/connections":                                      "",
		scopes + "system//connections":                                       "",
	} {
		if _, got, ok := api.Identity(target); !ok || got != want {
			t.Errorf("%s: identity %q, %t, want %q", target, got, ok, want)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{"a", "=", "", "%3D", "a%2Fb", "..", "%2e%2e", "a//b", "%", "%zz", "a?b", "ü", "a\x00"} {
		f.Add("organization", seed)
	}
	f.Fuzz(func(t *testing.T, scope, segment string) {
		path := "/api/v1/scopes/" + scope + "/" + segment + "/connections"
		gotScope, identity, ok := api.Identity(path)
		if !ok {
			return
		}
		// What one path says, its canonical spelling says too: no two readings.
		again := "/api/v1/scopes/" + escape(gotScope) + "/" + escape(identity) + "/connections"
		scope2, identity2, ok := api.Identity(again)
		if !ok || scope2 != gotScope || identity2 != identity {
			t.Fatalf("%q is %q %q, and %q is %q %q %t", path, gotScope, identity, again, scope2, identity2, ok)
		}
		if strings.Count(strings.SplitN(path, "?", 2)[0], "/") != 6 {
			t.Fatalf("%q was read as %q %q", path, gotScope, identity)
		}
	})
}

// escape writes every byte of a path segment as %XX, and nothing as "=".
func escape(s string) string {
	if s == "" {
		return "="
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + string(digits[s[i]>>4]) + string(digits[s[i]&15]))
	}
	return b.String()
}
