package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

func TestAConnectionFromConnectToDisconnectOverHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t)
	lifecycle := s.Listen(t, "hawser.event.>")
	one := ofAva + "/probe"
	for _, c := range []struct {
		method, path, body string
		status             int
		holds              string // of the answer
	}{
		{"GET", one, "", 404, `"code":"CONNECTOR_NOT_CONNECTED"`},
		{"PUT", one, `{"config":` + config + `}`, 201, `"state":"active"`},
		{"PUT", one, `{"config":` + config + `}`, 409, `"code":"CONNECTOR_ALREADY_CONNECTED"`},
		{"PUT", one + "?replace=true", `{"config":{"apiKey":"other","webhookSecret":"x"}}`, 201, `"enabled":true`},
		{"PUT", one + "?account=second", `{"config":` + config + `,"tags":{"team":"a"}}`, 201, `"account":"second"`},
		{"GET", one, "", 200, `"apiKey":"***`},
		{"GET", ofAva, "", 200, `"account":"second"`},
		{"GET", ofAva + "?limit=1&offset=1&enabled=true&name=probe", "", 200, `"account":"second"`},
		{"GET", ofAva + "/count", "", 200, `{"count":2}`},
		{"GET", ofAva + "/count?enabled=false", "", 200, `{"count":0}`},
		{"GET", ofBob + "/count", "", 200, `{"count":0}`},
		{"PATCH", one, `{"config":{"channel":"ops"}}`, 200, `"channel":"ops"`},
		{"PATCH", one, `{"enabled":false}`, 200, `"state":"disabled"`},
		{"POST", one + "/toggle", "", 200, `"enabled":true`},
		{"POST", one + "/resolve", "", 200, `"Authorization":"Bearer other"`},
		{"POST", one + "/refresh", "", 400, `"code":"CONNECTOR_OAUTH_NOT_CONFIGURED"`},
		{"POST", one + "/select", `{"resource_id":"r"}`, 400, `"code":"CONNECTOR_OAUTH_NOT_CONFIGURED"`},
		{"POST", one + "/rotate-webhook", "", 200, `"previous_webhook_url_until":`},
		{"GET", "/api/v1/connectors?count=connections&name=&limit=&offset=", "", 200, `"connections":2`},
		{"GET", "/api/v1/connectors/probe", "", 200, `"config_schema":`},
		{"GET", "/api/v1/connectors/ghost", "", 404, `"code":"CONNECTOR_NOT_FOUND"`},
		{"DELETE", one, "", 204, ""},
		{"DELETE", one, "", 404, `"code":"CONNECTOR_NOT_CONNECTED"`},
	} {
		r := s.do(t, c.method, c.path, c.body)
		if r.status != c.status || !strings.Contains(r.body, c.holds) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, r.status, r.body, c.status, c.holds)
		}
		if c.status != 204 && (r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("X-Request-Id") == "") {
			t.Errorf("%s %s: headers %v", c.method, c.path, r.header)
		}
	}
	var kinds []string
	for range 8 {
		kinds = append(kinds, strings.TrimPrefix(lifecycle.Event(t).Type(), "hawser.connector."))
	}
	want := []string{"connected", "connected", "connected", "updated", "disabled", "enabled", "updated", "disconnected"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAnInvalidRequestIsRefusedWithThePathsOfItsErrors(t *testing.T) {
	t.Parallel()
	s := serve(t)
	one := ofAva + "/probe"
	for name, c := range map[string]struct {
		method, path, body string
		paths              string // of the errors
	}{
		"unknown name":             {"PUT", one, `{"confg":{}}`, "confg"},
		"another operation's name": {"PUT", one, `{"config":{},"enabled":false}`, "enabled"},
		"wrong types":              {"PATCH", one, `{"enabled":"yes","tags":[]}`, "enabled tags"},
		"not an object":            {"PUT", one, `[]`, ""},
		"null":                     {"PUT", one, `null`, ""},
		"not JSON":                 {"PUT", one, `{"config":`, "config"},
		"two documents":            {"PUT", one, `{}{}`, ""},
		"a name twice":             {"PATCH", one, `{"enabled":true,"enabled":false}`, "enabled"},
		"deep":                     {"PUT", one, `{"config":` + strings.Repeat(`{"a":`, 10_000), "config" + strings.Repeat(".a", 199)},
		"invalid UTF-8":            {"PUT", one, "{\"config\":{\"apiKey\":\"\xff\"}}", ""},
		"the config's own":         {"PUT", one, `{"config":{"apiKey":1,"more":2}}`, "apiKey more"},
		"another tenant inside":    {"PUT", one, `{"identity":"bob","config":` + config + `}`, "identity"},
		"another connector":        {"PUT", one, `{"connector":"other","config":` + config + `}`, "connector"},
		"not a number":             {"GET", ofAva + "?limit=x", "", "limit"},
		"below zero":               {"GET", ofAva + "?offset=-1", "", "offset"},
		"beyond every number":      {"GET", ofAva + "?limit=99999999999999999999", "", "limit"},
		"not a boolean":            {"GET", ofAva + "?enabled=perhaps", "", "enabled"},
		"unknown in the query":     {"GET", ofAva + "?enabed=true", "", "enabed"},
		"twice in the query":       {"GET", ofAva + "?name=a&name=b", "", "name"},
		"malformed query":          {"GET", ofAva + "?name=%zz", "", ""},
		"path name in the query":   {"GET", ofAva + "?identity=bob", "", "identity"},
		"body name in the query":   {"PUT", one + "?config=1", "", "config"},
		"count of nothing":         {"GET", "/api/v1/connectors?count=all", "", "count"},
	} {
		r := s.do(t, c.method, c.path, c.body)
		code := "REQUEST_INVALID"
		if name == "the config's own" {
			code = "CONNECTOR_CONFIG_INVALID"
		}
		if r.status != http.StatusBadRequest || r.code() != code {
			t.Errorf("%s: %d %s, want %s", name, r.status, r.body, code)
			continue
		}
		var p struct{ Errors []schema.FieldError }
		if err := json.Unmarshal([]byte(r.body), &p); err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, f := range p.Errors {
			paths = append(paths, f.Path)
		}
		if got := strings.Join(paths, " "); got != c.paths || len(p.Errors) == 0 {
			t.Errorf("%s: errors at %q, want %q", name, got, c.paths)
		}
	}
	if r := s.do(t, "GET", ofAva+"/count", ""); r.body != `{"count":0}` {
		t.Errorf("a record was stored: %s", r.body)
	}
	if r := s.do(t, "PUT", one, `{"config":"`+strings.Repeat("x", 1<<20)+`"}`); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("1 MiB and more: %d", r.status)
	}
}

func TestTheAPINeedsAValidToken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	shape := func(r reply) string {
		var p map[string]any
		if err := json.Unmarshal([]byte(r.body), &p); err != nil {
			t.Fatalf("%d %s", r.status, r.body)
		}
		delete(p, "detail")
		text, _ := json.Marshal(p)
		return string(text) + r.header.Get("WWW-Authenticate") + r.header.Get("Content-Type")
	}
	var shapes []string
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer hwt_wrong", "Basic " + s.Token.Reveal(), s.Token.Reveal(), "Bearer " + s.Token.Reveal() + "x", "Bearer " + strings.Repeat("x", 600)} {
		for _, path := range []string{ofAva, "/api/v1/connectors", "/api/v1/results/x"} {
			r := s.do(t, "GET", path, "", "Authorization", authorization)
			if r.status != http.StatusUnauthorized || r.code() != "UNAUTHENTICATED" {
				t.Errorf("%q on %s: %d %s", authorization, path, r.status, r.body)
			}
			shapes = append(shapes, shape(r))
		}
	}
	for _, got := range shapes {
		if got != shapes[0] {
			t.Errorf("answers differ: %s and %s", got, shapes[0])
		}
	}
	if r := s.do(t, "GET", ofAva, "", "Authorization", "bEARER  "+s.Token.Reveal()); r.status != http.StatusOK {
		t.Errorf("the scheme in another case: %d", r.status)
	}
	// A revoked token is refused as soon as the watch has reported it.
	for entry, err := range s.Buckets.APITokens.List(t.Context(), ">") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Buckets.APITokens.Delete(t.Context(), entry.Key, 0); err != nil {
			t.Fatal(err)
		}
	}
	var r reply
	testenv.Eventually(t, "the token is refused", func() bool { r = s.do(t, "GET", ofAva, ""); return r.status == http.StatusUnauthorized })
	if got := shape(r); got != shapes[0] {
		t.Errorf("revoked: %s, want %s", got, shapes[0])
	}
}

func TestTheCatalogueDoesNotShowTheDefaultConfig(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("probe", "")
	c.DefaultConfig = json.RawMessage(`{"apiKey":"canary"}`)
	s := serve(t, c)
	for _, path := range []string{"/api/v1/connectors", "/api/v1/connectors/probe?count=connections"} {
		if r := s.do(t, "GET", path, ""); r.status != http.StatusOK || strings.Contains(r.body, "canary") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}
