package api_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress/api"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// FuzzParams: foreign JSON is refused with CONNECTOR_CONFIG_INVALID, or means the
// same after being written and read again.
// FuzzParams reads the same bytes as a JSON document and as a query: what is not
// understood names its place, and what is means the same when it is read again.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"scope":"organization","identity":"a","connector":"c","config":{"a":[1,2.50,"x",null]},"tags":{"a":"b"},"replace":true}`,
		`{"config":1e400}`, `{"Scope":"x"}`, `{"scope":"a","scope":"b"}`, `{"tags":{"":""}}`, `{"config":null}`, "{\"scope\":\"\xff\"}", `{"limit":1.0}`,
		"name=a", "limit=1&offset=0", "limit=-1", "enabled=true", "enabled=TRUE&enabled=1", "%zz", "a;b", "limit=99999999999999999999",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := api.ReadQuery("connections.list", string(data)); err != nil {
			if e := connectors.AsError(err); e.Code != connectors.CodeRequestInvalid || len(e.Errors) != 1 {
				t.Fatalf("query %q: %v", data, err)
			}
		}
		for _, operation := range []string{"connections.connect", "connections.list"} {
			first, err := api.ParseParams(operation, data)
			if err != nil {
				if e := connectors.AsError(err); e.Code != connectors.CodeRequestInvalid || len(e.Errors) == 0 {
					t.Fatalf("%s %q: %v", operation, data, err)
				}
				continue
			}
			second, err := api.ParseParams(operation, first)
			if err != nil || !bytes.Equal(first, second) || !json.Valid(first) {
				t.Fatalf("%s %q: %s, then %s, %v", operation, data, first, second, err)
			}
		}
	})
}
