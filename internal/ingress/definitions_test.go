package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

const definitionOfCRM = `key: crm
version: VERSION
config: {properties: {apiKey: {type: string}, region: {type: string}}, required: [REQUIRED]}
base_url: https://crm.example
auth: {kind: api_key, headers: {X-Key: "${config.apiKey}"}}
actions:
  list: {effect: read, request: {path: /contacts}}
`

// definition returns the body that applies a version whose config requires a field.
func definition(t *testing.T, version, required string) string {
	t.Helper()
	text := strings.NewReplacer("VERSION", version, "REQUIRED", required).Replace(definitionOfCRM)
	body, err := json.Marshal(map[string]any{"definition": text})
	testenv.Must(t, err)
	return string(body)
}

func TestDefinitionsAreAppliedMigratedAndRemoved(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const path = "/api/v1/connectors/crm"
	if r := s.do(t, "PUT", path, `{"definition":"key: crm\nactions: {a: {effekt: read}}\n"}`); r.status != http.StatusBadRequest ||
		!strings.Contains(r.body, "crm.yaml:2:15: actions.a.effekt is not a known field") || !strings.Contains(r.body, "config is required") {
		t.Errorf("a definition with mistakes: %d %s, want each with its line", r.status, r.body)
	}
	if r := s.do(t, "GET", path, ""); r.status != http.StatusNotFound {
		t.Errorf("a refused definition is stored: %s", r.body)
	}
	if r := s.do(t, "PUT", "/api/v1/connectors/other", definition(t, "1.0.0", "apiKey")); r.status != http.StatusBadRequest {
		t.Errorf("a definition under another key: %d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", "/api/v1/connectors/probe", strings.Replace(definition(t, "1.0.0", "apiKey"), "key: crm", "key: probe", 1)); r.status != http.StatusBadRequest {
		t.Errorf("a definition in place of a connector with code: %d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", path, definition(t, "1.0.0", "apiKey")); r.status != http.StatusOK || !strings.Contains(r.body, `"version":"1.0.0"`) {
		t.Fatalf("PUT: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", path, ""); r.status != http.StatusOK || !strings.Contains(r.body, `"key":"list"`) || !strings.Contains(r.body, `"key":"request"`) {
		t.Errorf("GET: %d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", ofAva+"/crm", `{"config":{"apiKey":"k"}}`); r.status != http.StatusCreated {
		t.Fatalf("connect: %d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", path, definition(t, "2.0.0", "region")); r.status != http.StatusOK || !strings.Contains(r.body, `"replaces":"1.0.0"`) {
		t.Errorf("version 2: %d %s", r.status, r.body)
	}
	if r := s.do(t, "POST", path+"/migrate", `{"dry_run":true}`); r.status != http.StatusOK || !strings.Contains(r.body, `"refused":1`) || !strings.Contains(r.body, `"path":"region"`) {
		t.Errorf("migrate: %d %s", r.status, r.body)
	}
	if r := s.do(t, "PUT", path, definition(t, "3.0.0", "apiKey")); r.status != http.StatusOK {
		t.Errorf("version 3: %d %s", r.status, r.body)
	}
	if r := s.do(t, "POST", path+"/migrate", ""); r.status != http.StatusOK || !strings.Contains(r.body, `"moved":1`) {
		t.Errorf("migrate: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", ofAva+"/crm", ""); !strings.Contains(r.body, `"connector_version":"3.0.0"`) {
		t.Errorf("after the migration: %s", r.body)
	}
	if r := s.do(t, "DELETE", path, ""); r.status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", r.status, r.body)
	}
	if r := s.do(t, "DELETE", path, ""); r.status != http.StatusNotFound {
		t.Errorf("a second DELETE: %d %s", r.status, r.body)
	}
}
