package manifest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

// acme is a server with a list of contacts in two pages.
func acme(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/contacts", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("cursor") == "" {
			_, _ = w.Write([]byte(`{"contacts":[{"id":12345678901234567890,"email":"a@x"}],"next":"two","asked":` + quote(r.URL.RawQuery) + `}`))
			return
		}
		_, _ = w.Write([]byte(`{"contacts":[{"id":2,"email":"b@x"}],"next":null}`))
	})
	mux.HandleFunc("POST /v1/contacts", func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body["email"] == "taken@example.com" {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"error":"is taken"}`))
			return
		}
		body["key"], body["auth"], body["accept"] = r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), r.Header.Get("Accept")
		_ = json.NewEncoder(w).Encode(map[string]any{"id": body})
	})
	mux.HandleFunc("GET /v1/me", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer 12345678" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func quote(text string) string { b, _ := json.Marshal(text); return string(b) }

func load(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// connectorOf parses a file and points its base URL to a server.
func connectorOf(t *testing.T, text, baseURL string) *connectors.Connector {
	t.Helper()
	c, err := manifest.Parse("acme.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if baseURL != "" {
		c.BaseURL = baseURL
	}
	return c
}

// callOf returns a call with the connection's credentials.
func callOf(t *testing.T, c *connectors.Connector, config string) *connectors.Call {
	t.Helper()
	runtime, err := c.Resolve([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return &connectors.Call{
		Config: json.RawMessage(config), BaseURL: runtime.BaseURL, IdempotencyKey: "key-1",
		HTTP: &http.Client{Transport: connectors.NewTransport(nil, runtime)}, RateLimit: c.RateLimit,
	}
}

func runAction(t *testing.T, c *connectors.Connector, action, input string) (string, error) {
	t.Helper()
	a, ok := c.Action(action)
	if !ok {
		t.Fatalf("no action %s", action)
	}
	out, err := a.Run(t.Context(), callOf(t, c, `{"apiKey":"12345678"}`), json.RawMessage(input))
	return string(out), err
}

func TestAFileIsAConnectorThatWorks(t *testing.T) {
	t.Parallel()
	server := acme(t)
	c := connectorOf(t, load(t, "acme-crm.yaml"), server.URL+"/v1")
	got, err := runAction(t, c, "listContacts", `{"tag":"a b&c"}`)
	if want := `{"contacts":[{"email":"a@x","id":12345678901234567890},{"email":"b@x","id":2}]}`; err != nil || got != want {
		t.Errorf("listContacts = %s, %v, want %s", got, err, want)
	}
	got, err = runAction(t, c, "createContact", `{"email":"a@example.com","name":null}`)
	if want := `{"id":{"accept":"application/json","auth":"Bearer 12345678","email":"a@example.com","key":"key-1","name":null}}`; err != nil || got != want {
		t.Errorf("createContact = %s, %v, want %s", got, err, want)
	}
	got, err = runAction(t, c, "createContact", `{"email":"a@example.com"}`)
	if err != nil || strings.Contains(got, "name") {
		t.Errorf("createContact without a name = %s, %v: the member must be left out", got, err)
	}
	_, err = runAction(t, c, "createContact", `{"email":"taken@example.com"}`)
	if e := connectors.AsError(err); e.Code != connectors.CodeConnectorActionFailed || e.ProviderStatus != 409 || !strings.Contains(e.Message, "is taken") || connectors.IsRetryable(err) {
		t.Errorf("a conflict is %v, status %d, want CONNECTOR_ACTION_FAILED without retry", err, e.ProviderStatus)
	}
	if _, err = runAction(t, c, "createContact", `{"email":"no address"}`); connectors.AsError(err).Code != connectors.CodeConnectorActionInputInvalid {
		t.Errorf("a bad address is %v", err)
	}
	if err := c.RunValidate(t.Context(), callOf(t, c, `{"apiKey":"12345678"}`)); err != nil {
		t.Errorf("health: %v", err)
	}
	if err := c.RunValidate(t.Context(), callOf(t, c, `{"apiKey":"87654321"}`)); connectors.AsError(err).Code != connectors.CodeConnectorConfigInvalid {
		t.Errorf("health with a bad key = %v, want CONNECTOR_CONFIG_INVALID", err)
	}
}

func TestADefinitionSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	c := connectorOf(t, load(t, "acme-crm.yaml"), "")
	first, err := c.Definition()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := connectors.ParseDefinition(first)
	if err != nil {
		t.Fatal(err)
	}
	if !parsed.Declarative() || !parsed.HasValidate() {
		t.Error("the parsed definition must be declarative, with a health check")
	}
	if err := manifest.Bind(parsed); err != nil {
		t.Fatal(err)
	}
	second, err := parsed.Definition()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Errorf("the definition changes (-first +second):\n%s", diff)
	}
}

func TestEveryMistakeHasItsPlace(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("bad.yaml", []byte(load(t, "mistakes.yaml")), nil)
	problems, ok := errors.AsType[manifest.Problems](err)
	if !ok {
		t.Fatalf("Parse = %v, want Problems", err)
	}
	golden.Text(t, "mistakes.txt", []byte(problems.Error()+"\n"))
}

func TestABodyKeepsNullAndTheTypeOfACursor(t *testing.T) {
	t.Parallel()
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		_, _ = w.Write([]byte(`{"items":[1],"next":` + []string{`"12"`, `12`, `null`}[len(bodies)-1] + `}`))
	}))
	t.Cleanup(server.Close)
	c := connectorOf(t, `
key: acme
config: {properties: {apiKey: {type: string, writeOnly: true}}}
base_url: https://acme.example
auth: {kind: api_key, headers: {Key: "${config.apiKey}"}}
actions:
  list:
    effect: read
    timeout: 2m
    request: {method: POST, path: /, body: {filter: null, all: [null, {a: null}]}}
    paginate: {by: cursor, next: .body.next, param: page.after, in: body, items: .body.items}
`, server.URL)
	if a, _ := c.Action("list"); a.Timeout != 2*time.Minute {
		t.Errorf("the time limit is %s, want 2m", a.Timeout)
	}
	if _, err := runAction(t, c, "list", `{}`); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"all":[null,{"a":null}],"filter":null}`,
		`{"all":[null,{"a":null}],"filter":null,"page":{"after":"12"}}`,
		`{"all":[null,{"a":null}],"filter":null,"page":{"after":12}}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("the bodies (-want +got):\n%s", diff)
	}
}

func TestTheFormatHasAJSONSchema(t *testing.T) {
	t.Parallel()
	text, err := connectors.DefinitionSchema().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	golden.JSON(t, "definition.schema.json", json.RawMessage(text))
}

func TestASubscriptionSaysHowLongItLastsAndWhatItNeeds(t *testing.T) {
	t.Parallel()
	text := strings.Replace(load(t, "acme-crm.yaml"), "  create: {request: {method: POST, path: /hooks, body: {",
		`  requires: [site, nothing]
  create: {request: {method: POST, path: /hooks, body: {until: "${webhook.expires_at}", name: "${webhook.name}", `, 1)
	_, err := manifest.Parse("acme.yaml", []byte(text), nil)
	for _, want := range []string{`subscription.requires.1 names the config field "nothing"`, "needs subscription.lifetime", "names ${webhook.name}, which does not exist"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse = %v, want %q", err, want)
		}
	}
	text = strings.NewReplacer("[site, nothing]", "[site]\n  lifetime: 72h", "webhook.name", "webhook.id").Replace(text)
	if c, err := manifest.Parse("acme.yaml", []byte(text), nil); err != nil || c.Subscription.Lifetime == 0 {
		t.Errorf("Parse with a lifetime = %v", err)
	}
}

func TestAnActionHasATimeLimit(t *testing.T) {
	t.Parallel()
	text := strings.Replace(load(t, "acme-crm.yaml"), "  listContacts:", "  listContacts:\n    timeout: 1m30s", 1)
	c, err := manifest.Parse("acme.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := c.Action("listContacts"); a.Timeout != 90*time.Second {
		t.Errorf("Timeout = %v, want 1m30s", a.Timeout)
	}
}
