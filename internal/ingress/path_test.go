package ingress_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress"
)

func TestAnIdentityInAPathIsExactlyOneTenant(t *testing.T) {
	t.Parallel()
	s := serve(t)
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
		if _, got, ok := ingress.Identity(target); !ok || got != want {
			t.Errorf("%s: identity %q, %t, want %q", target, got, ok, want)
		}
		if r := s.target(t, "GET", target); r.status != http.StatusOK || r.body != "[]" {
			t.Errorf("%s: %d %s, want an empty list", target, r.status, r.body)
		}
	}
	for target, want := range map[string]int{
		scopes + "organization//connections":                                 400, // needs an identity
		scopes + "organization/=/connections":                                400,
		scopes + "galaxy/a/connections":                                      400,
		scopes + "Organization/a/connections":                                400,
		scopes + "organization/" + strings.Repeat("x", 129) + "/connections": 400,
		scopes + "organization/a/connections/":                               404,
		scopes + "organization/a//connections":                               404,
		scopes + "organization/../connections":                               404,
		scopes + "organization/a/./connections":                              404,
		scopes + "organization/a/../b/connections":                           404,
		"/" + scopes + "system/=/connections":                                404,
		"//evil.test" + scopes + "system//connections":                       404,
		"/api/v1//scopes/system/=/connections":                               404,
		"/api/v1/connectors/":                                                404,
		"/api/v1":                                                            404,
		"/":                                                                  404,
		"/api/v1/scopes":                                                     404,
		"/API/V1/connectors":                                                 404,
		"/api/v1/connectors/%2e%2e":                                          404,
		"/api/v1/connectors/../connectors":                                   404,
		scopes + "organization/%zz/connections":                              400,
	} {
		r := s.target(t, "GET", target)
		if r.status != want || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %.100s, Location %q, want %d and no redirect", target, r.status, r.body, r.header.Get("Location"), want)
		}
	}
}

func TestAConnectionWithoutAnIdentityLivesUnderBothSpellings(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if r := s.target(t, "DELETE", "/api/v1/scopes/system//connections/probe"); r.status != http.StatusNotFound || r.code() != "CONNECTOR_NOT_CONNECTED" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", "/api/v1/scopes/system/=/connections/probe", `{"config":`+config+`}`); r.status != http.StatusCreated || !strings.Contains(r.body, `"identity":""`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.target(t, "GET", "/api/v1/scopes/system//connections/probe"); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestWrongMethodsAreToldTheRightOnes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for path, want := range map[string]string{
		"/api/v1/connectors":          "GET, HEAD",
		ofAva:                         "GET, HEAD",
		ofAva + "/probe":              "GET, HEAD, PUT, PATCH, DELETE",
		ofAva + "/probe/toggle":       "POST",
		ofAva + "/probe/actions/noop": "POST",
		"/api/v1/results/x":           "GET, HEAD",
		"/api/v1/connectors/probe":    "GET, HEAD",
	} {
		for _, method := range []string{"BREW", "OPTIONS"} {
			r := s.target(t, method, path)
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != want || r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d, Allow %q, want %q", method, path, r.status, r.header.Get("Allow"), want)
			}
		}
	}
	if r := s.target(t, "HEAD", "/api/v1/connectors"); r.status != http.StatusOK || r.body != "" {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
}

func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{"a", "=", "", "%3D", "a%2Fb", "..", "%2e%2e", "a//b", "%", "%zz", "a?b", "ü", "a\x00"} {
		f.Add("organization", seed)
	}
	f.Fuzz(func(t *testing.T, scope, segment string) {
		path := "/api/v1/scopes/" + scope + "/" + segment + "/connections"
		gotScope, identity, ok := ingress.Identity(path)
		if !ok {
			return
		}
		// What one path says, its canonical spelling says too: no two readings.
		again := "/api/v1/scopes/" + escape(gotScope) + "/" + escape(identity) + "/connections"
		scope2, identity2, ok := ingress.Identity(again)
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
