package ingress_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestPathsHaveOneForm(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const scopes = "/api/v1/scopes/"
	for _, target := range []string{"organization/a%2Fb/connections", "organization/%2A/connections", "system/=/connections", "system//connections"} {
		if r := s.target(t, "GET", scopes+target); r.status != http.StatusOK || r.body != "[]" {
			t.Errorf("%s: %d %s, want an empty list", target, r.status, r.body)
		}
	}
	for target, want := range map[string]int{
		scopes + "organization//connections":                                 400, // needs an identity
		scopes + "organization/=/connections":                                400,
		scopes + "organization/%2e%2e/connections":                           400, // clients would remove it from a URL
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

func TestTheEmptyIdentityHasTwoPaths(t *testing.T) {
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

func TestOtherMethodsAreRefusedWithAllow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for path, want := range map[string]string{
		"/api/v1/connectors":          "GET, HEAD",
		ofAva:                         "GET, HEAD",
		ofAva + "/probe":              "GET, HEAD, PUT, PATCH, DELETE",
		ofAva + "/probe/toggle":       "POST",
		ofAva + "/probe/actions/noop": "POST",
		"/api/v1/results/x":           "GET, HEAD",
		"/api/v1/connectors/probe":    "GET, HEAD, PUT, DELETE",
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
