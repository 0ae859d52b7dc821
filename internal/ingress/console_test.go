package ingress_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestTheConsoleIsServedWithItsFilesAndWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := serve(t)
	page := s.do(t, "GET", "/console/", "", "Authorization", "")
	if page.status != 200 || page.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.body, `data-api="/api/v1"`) {
		t.Fatalf("%d %s", page.status, page.body)
	}
	if p := page.header.Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy %q", p)
	}
	for _, named := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		file := s.do(t, "GET", named[1], "", "Authorization", "")
		if file.status != 200 || strings.Contains(file.body, s.Token.Reveal()) {
			t.Errorf("%s: %d", named[1], file.status)
		}
	}
	// Every path that the script calls is one of the API, and every id is on the page.
	script := s.do(t, "GET", "/console/console.js", "", "Authorization", "").body
	for _, id := range regexp.MustCompile(`(?:at|table)\("([a-z-]+)"`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(page.body, `id="`+id[1]+`"`) {
			t.Errorf("the page has no %s", id[1])
		}
	}
	for _, path := range []string{"/connectors?count=connections", "/dead-letters?limit=100", "/quarantine?limit=100", "/scopes/organization/a/connections"} {
		if r := s.do(t, "GET", "/api/v1"+path, ""); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if strings.Contains(script, "innerHTML") {
		t.Error("the script writes markup")
	}
	for _, path := range []string{"/console/secret", "/console/console.js/", "/console/../console/console.go"} {
		if r := s.do(t, "GET", path, "", "Authorization", ""); r.status != 404 {
			t.Errorf("%s: %d, want 404", path, r.status)
		}
	}
}
