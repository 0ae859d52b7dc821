package executor_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

// versions is a connector without code whose action answers which version it is of.
const versions = `
key: versions
version: 1.0.0
config: {properties: {apiKey: {type: string, writeOnly: true}, account: {type: string}}}
base_url: PROVIDER
auth: {kind: api_key, headers: {X-Key: "${config.apiKey}"}}
health: {path: /me}
learn: {request: {path: /me}, config: {account: .body.account}}
actions:
  which:
    effect: read
    request: {path: /which, query: {account: "${config.account}"}}
    output: '{version: "1.0.0", account: .body.account}'
`

// accounts answers who the key's owner is, and repeats the account of a query.
func accounts(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "key-of-ava" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		account := "acme"
		if r.URL.Path == "/which" {
			account = r.URL.Query().Get("account")
		}
		_, _ = w.Write([]byte(`{"account":"` + account + `"}`))
	}))
	t.Cleanup(server.Close)
	return server
}

// publish makes a definition the current one.
func publish(t *testing.T, n *testenv.Node, text string) {
	t.Helper()
	c, err := manifest.Parse("versions.yaml", []byte(text), nil)
	testenv.Must(t, err)
	testenv.Must(t, n.Definitions.Publish(t.Context(), []*connectors.Connector{c}))
}

// answerOf runs the action which by request-reply, and returns the answer.
func answerOf(t *testing.T, n *testenv.Node, identity string) string {
	t.Helper()
	_, reply, err := n.Bus.Request(t.Context(), "hawser.call.organization."+identity+".versions.which", []byte(`{}`))
	testenv.Must(t, err)
	return string(reply)
}

func TestADefinitionIsServedWhileAnExecutorRuns(t *testing.T) {
	t.Parallel()
	provider := accounts(t)
	first := strings.ReplaceAll(versions, "PROVIDER", provider.URL)
	n := testenv.StartNode(t, nil)
	ingress := n.Join(t) // another process publishes
	n.StartExecutor(t, nil)

	publish(t, ingress, first)
	testenv.Eventually(t, "a request without any connection is answered", func() bool {
		return strings.Contains(answerOf(t, n, "ava"), "CONNECTOR_NOT_CONNECTED")
	})
	testenv.Eventually(t, "the definition is served", func() bool {
		_, err := n.Service.Connect(t.Context(), records.NewRef(testenv.Org("ava"), "versions", ""), connection.ConnectInput{Config: json.RawMessage(key)})
		return err == nil
	})
	if got, want := answerOf(t, n, "ava"), `{"data":{"account":"acme","version":"1.0.0"}}`; got != want {
		t.Errorf("version 1 answers %s, want %s: with what was learned", got, want)
	}

	second := strings.ReplaceAll(first, "1.0.0", "2.0.0")
	publish(t, ingress, second)
	testenv.Eventually(t, "the executor has version 2", func() bool {
		c, err := n.Definitions.Get("versions")
		return err == nil && c.Version == "2.0.0"
	})
	if got := answerOf(t, n, "ava"); !strings.Contains(got, `"1.0.0"`) {
		t.Errorf("a connection of version 1 answers %s, want its own version", got)
	}
	dry, err := n.Service.Migrate(t.Context(), "versions", true)
	if err != nil || dry.Moved != 1 || !strings.Contains(answerOf(t, n, "ava"), `"1.0.0"`) {
		t.Errorf("a dry run = %+v, %v, and must change nothing", dry, err)
	}
	if done, err := n.Service.Migrate(t.Context(), "versions", false); err != nil || done.Moved != 1 || done.Refused != 0 {
		t.Fatalf("Migrate = %+v, %v", done, err)
	}
	testenv.Eventually(t, "the connection has version 2", func() bool { return strings.Contains(answerOf(t, n, "ava"), `"2.0.0"`) })

	third := strings.ReplaceAll(strings.ReplaceAll(first, "1.0.0", "3.0.0"), "account: {type: string}}", "account: {type: string}, region: {type: string}}, required: [region]")
	publish(t, ingress, third)
	testenv.Eventually(t, "version 3 is refused to a config without a region", func() bool {
		refused, err := n.Service.Migrate(t.Context(), "versions", false)
		return err == nil && refused.Refused == 1 && refused.Items[0].Errors[0].Path == "region"
	})

	if found, err := ingress.Definitions.Remove(t.Context(), "versions"); !found || err != nil {
		t.Fatalf("Remove = %t, %v", found, err)
	}
	testenv.Eventually(t, "nobody serves it", func() bool { return strings.Contains(answerOf(t, n, "ava"), "CONNECTOR_NOT_FOUND") })
}
