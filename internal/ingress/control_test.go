package ingress_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestEveryOperationAnswersOnNATS(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const tenant = `"scope":"organization","identity":"ava@example.com"`
	const one = `{` + tenant + `,"connector":"probe"`
	for _, c := range []struct {
		operation, request, code, holds string
	}{
		{"connectors.list", ``, "", `"key":"probe"`},
		{"connectors.list", `{"name":"nonsuch"}`, "", `[]`},
		{"connectors.get", `{"connector":"probe"}`, "", `"config_schema":`},
		{"connectors.get", `{"connector":"ghost"}`, "CONNECTOR_NOT_FOUND", `"status":404`},
		{"connections.connect", one + `,"config":` + config + `}`, "", `"webhook_url":"https://hooks.example.test/api/v1/connectors/probe/webhook/`},
		{"connections.connect", one + `,"config":` + config + `}`, "CONNECTOR_ALREADY_CONNECTED", `"status":409`},
		{"connections.connect", one + `,"config":` + config + `,"replace":true,"tags":{"a":"b"}}`, "", `"tags":{"a":"b"}`},
		{"connections.list", `{` + tenant + `,"limit":1}`, "", `"state":"active"`},
		{"connections.count", `{` + tenant + `}`, "", `{"count":1}`},
		{"connections.get", one + `}`, "", `"webhookSecret":"webh***-ava"`},
		{"connections.get", one + `,"account":"second"}`, "CONNECTOR_NOT_CONNECTED", `"status":404`},
		{"connections.update", one + `,"config":{"channel":"ops"}}`, "", `"channel":"ops"`},
		{"connections.toggle", one + `}`, "", `"enabled":false`},
		{"connections.toggle", one + `}`, "", `"enabled":true`},
		{"connections.resolve", one + `}`, "", `"Authorization":"Bearer key-of-ava"`},
		{"connections.refresh", one + `}`, "CONNECTOR_OAUTH_NOT_CONFIGURED", `"status":400`},
		{"connections.select", one + `,"resource_id":"r"}`, "CONNECTOR_OAUTH_NOT_CONFIGURED", `"status":400`},
		{"connections.rotate-webhook", one + `}`, "", `"webhook_url":`},
		{"connections.list", `{"scope":"galaxy","identity":"a"}`, "CONNECTOR_SCOPE_INVALID", `"status":400`},
		{"connections.list", `{"scope":"organization"}`, "CONNECTOR_SCOPE_IDENTIFIER_REQUIRED", `"status":400`},
		{"connections.list", `{` + tenant + `,"replace":true}`, "REQUEST_INVALID", `"path":"replace"`},
		{"connections.get", `{"Scope":"organization"}`, "REQUEST_INVALID", `"path":"Scope"`},
		{"connections.get", `not JSON`, "REQUEST_INVALID", `"errors":[`},
		{"connections.disconnect", one + `}`, "", `{}`},
		{"connections.disconnect", one + `}`, "CONNECTOR_NOT_CONNECTED", `"type":"urn:hawser:error:CONNECTOR_NOT_CONNECTED"`},
	} {
		header, reply, err := s.Bus.Request(t.Context(), s.Bus.Subjects.API(c.operation), []byte(c.request))
		if err != nil {
			t.Fatalf("%s: %v", c.operation, err)
		}
		if got := header.Get(events.HeaderErrorCode); got != c.code || !strings.Contains(string(reply), c.holds) || !json.Valid(reply) {
			t.Errorf("%s %s: code %q, %s; want %q with %s", c.operation, c.request, got, reply, c.code, c.holds)
		}
	}
	if lines := s.Log.Lines("key-of-ava"); len(lines) > 0 {
		t.Errorf("a secret is logged: %s", lines)
	}
}
