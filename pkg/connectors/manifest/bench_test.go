package manifest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

type contactInput struct {
	Email string `json:"email" jsonschema:"format=email"`
}

type contactOutput struct {
	ID string `json:"id"`
}

// BenchmarkAction compares an action of a YAML file with one of Go that does the same, at a
// provider on loopback.
func BenchmarkAction(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in contactInput
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"c-1","email":"` + in.Email + `","tags":["a","b"]}`))
	}))
	defer server.Close()
	declared, err := manifest.Parse("acme.yaml", []byte(`key: acme
config: {properties: {}}
base_url: `+server.URL+`
actions:
  create:
    effect: write
    input: {properties: {email: {type: string, format: email}}, required: [email]}
    request: {method: POST, path: /contacts, body: {email: "${input.email}"}}
    output: '{id: .body.id}'
    output_schema: {properties: {id: {type: string}}, required: [id]}
`), nil)
	if err != nil {
		b.Fatal(err)
	}
	inYAML, _ := declared.Action("create")
	inGo := connectors.NewAction("create", func(ctx context.Context, call *connectors.Call, in contactInput) (contactOutput, error) {
		return connectors.JSON[contactOutput](ctx, call, connectors.JSONRequest{Path: "/contacts", Body: in})
	}, nil)
	call := &connectors.Call{BaseURL: server.URL, HTTP: server.Client(), Config: json.RawMessage(`{}`)}
	input := json.RawMessage(`{"email":"a@example.com"}`)
	for name, action := range map[string]*connectors.Action{"go": &inGo, "yaml": inYAML} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := action.Run(b.Context(), call, input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
