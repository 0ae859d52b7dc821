package demo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/pkg/connectors"
)

func (b *bench) connector(connectorKey string) *connectors.Connector {
	b.t.Helper()
	registry := connectors.NewRegistry()
	for _, c := range demo.Connectors(b.URL() + "/") {
		if err := registry.Register(c); err != nil {
			b.t.Fatalf("Register %s: %v", c.Key, err)
		}
	}
	c, ok := registry.Get(connectorKey)
	if !ok {
		b.t.Fatalf("no connector %s", connectorKey)
	}
	return c
}

// call is a call of demo-key with that key, its client made as executors make it.
func (b *bench) call(apiKey string) *connectors.Call {
	b.t.Helper()
	config := fmt.Sprintf(`{"apiKey":%q,"channel":"harbour"}`, apiKey)
	runtime, err := b.connector("demo-key").Resolve([]byte(config))
	if err != nil {
		b.t.Fatal(err)
	}
	return &connectors.Call{
		RequestID: "r1", IdempotencyKey: "r1", BaseURL: runtime.BaseURL, Config: json.RawMessage(config),
		HTTP: &http.Client{Transport: connectors.NewTransport(b.client.Transport, runtime)},
	}
}

// run runs an action of demo-key.
func (b *bench) run(action, input string, call *connectors.Call) (string, error) {
	b.t.Helper()
	a, ok := b.connector("demo-key").Action(action)
	if !ok {
		b.t.Fatalf("no action %s", action)
	}
	out, err := a.Run(b.t.Context(), call, json.RawMessage(input))
	return string(out), err
}

func TestTheConnectorsAreWhatTheyPromise(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var got []string
	for _, c := range demo.Connectors(b.URL()) {
		for _, a := range c.Actions {
			got = append(got, fmt.Sprintf("%s.%s idempotent=%t", c.Key, a.Key, a.Idempotent))
		}
		doc, err := b.connector(c.Key).Definition()
		if err != nil {
			t.Fatalf("%s: Definition: %v", c.Key, err)
		}
		if _, err := connectors.ParseDefinition(doc); err != nil {
			t.Errorf("%s: ParseDefinition: %v", c.Key, err)
		}
		if (c.Key == "demo-key") != (c.Webhook != nil) {
			t.Errorf("%s: webhook = %v", c.Key, c.Webhook)
		}
	}
	want := []string{
		"demo-key.postMessage idempotent=true", "demo-key.fail idempotent=true", "demo-key.slow idempotent=true",
		"demo-key.charge idempotent=false", "demo-oauth.me idempotent=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

func TestTheKeyConfigIsChecked(t *testing.T) {
	t.Parallel()
	config := setup(t, nil).connector("demo-key").Config
	got, wrong := config.Validate([]byte(`{"apiKey":"demo_1"}`))
	if wrong != nil || string(got) != `{"apiKey":"demo_1","channel":"general"}` {
		t.Errorf("Validate = %s, %v, want the default channel", got, wrong)
	}
	if diff := cmp.Diff([]string{"/apiKey", "/webhookSecret"}, config.SecretPaths()); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	_, wrong = config.Validate([]byte(`{"apiKey":"sk_canary","webhookSecret":"","channel":"","more":1}`))
	if len(wrong) != 4 || strings.Contains(fmt.Sprint(wrong), "canary") {
		t.Errorf("errors = %v, want 4 without the value", wrong)
	}
}

func TestValidateAsksTheProvider(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	validate := b.connector("demo-key").Validate
	if err := validate(t.Context(), b.call("demo_1")); err != nil {
		t.Errorf("a good key: %v", err)
	}
	err := validate(t.Context(), b.call("demo_revoked-canary"))
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Code != connectors.CodeConnectorConfigInvalid || len(e.Errors) != 1 || e.Errors[0].Path != "apiKey" {
		t.Fatalf("a revoked key: %v, want CONNECTOR_CONFIG_INVALID at apiKey", err)
	}
	if text, _ := json.Marshal(e); strings.Contains(string(text)+err.Error(), "canary") {
		t.Errorf("%s shows the key", text)
	}
	b.fault("api", "500", 1)
	if err := validate(t.Context(), b.call("demo_1")); !errors.As(err, new(*connectors.ProviderError)) {
		t.Errorf("a broken provider: %v, want a provider error", err)
	}
}

func TestPostMessageSendsItsIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	first, err := b.run("postMessage", `{"text":"hi"}`, b.call("demo_1"))
	if err != nil || !strings.Contains(first, `"text":"hi","channel":"harbour"`) {
		t.Fatalf("postMessage = %s, %v", first, err)
	}
	if again, err := b.run("postMessage", `{"text":"hi"}`, b.call("demo_1")); again != first || err != nil {
		t.Errorf("again = %s, %v, want %s", again, err, first)
	}
	for _, odd := range []string{"line\nbreak", strings.Repeat("k", 300), " k", "ключ"} {
		call := b.call("demo_1")
		call.IdempotencyKey = odd
		for range 2 {
			if _, err := b.run("postMessage", `{"text":"hi"}`, call); err != nil {
				t.Errorf("idempotency key %q: %v", odd, err)
			}
		}
	}
	b.wantStats(map[string]int{"messages": 5})
}

func TestFailCountsTheAttemptsOfOneRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	call := b.call("demo_1")
	for range 2 {
		_, err := b.run("fail", `{"status":429,"times":2,"retryAfter":3}`, call)
		e := connectors.AsError(err)
		if e == nil || e.Code != connectors.CodeConnectorRateLimited || e.ProviderStatus != 429 || e.RetryAfter != 3*time.Second {
			t.Fatalf("fail = %v, want CONNECTOR_RATE_LIMITED, 429, after 3 s", err)
		}
	}
	if out, err := b.run("fail", `{"status":429,"times":2}`, call); out != `{"attempts":3}` || err != nil {
		t.Errorf("fail = %s, %v, want 3 attempts", out, err)
	}
	call.RequestID = "r2"
	if out, err := b.run("fail", `{"status":500,"times":0}`, call); out != `{"attempts":1}` || err != nil {
		t.Errorf("fail = %s, %v, want 1 attempt", out, err)
	}
	if _, err := b.run("fail", `{"status":422}`, call); connectors.AsError(err).ProviderStatus != 422 || connectors.IsRetryable(err) {
		t.Errorf("fail = %v, want 422, for good", err)
	}
}

func TestSlowAndCharge(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	call := b.call("demo_1")
	if out, err := b.run("slow", `{"ms":1}`, call); out != `{"ms":1}` || err != nil {
		t.Errorf("slow = %s, %v", out, err)
	}
	for range 2 {
		if out, err := b.run("charge", `{"amount":9.99}`, call); !strings.HasPrefix(out, `{"id":"`) || err != nil {
			t.Errorf("charge = %s, %v", out, err)
		}
	}
	b.fault("api", "drop", 1)
	b.client.CloseIdleConnections()
	if _, err := b.run("charge", `{"amount":1}`, call); err == nil || errors.As(err, new(*connectors.ProviderError)) {
		t.Errorf("a dropped charge: %v, want an error that is no answer", err)
	}
	b.fault("api", "html", 1)
	if _, err := b.run("charge", `{"amount":1}`, call); err == nil || errors.As(err, new(*connectors.ProviderError)) {
		t.Errorf("a page for a charge: %v, want an error that is no answer", err)
	}
	b.wantStats(map[string]int{"charges": 3})
	for action, input := range map[string]string{
		"postMessage": `{"text":""}`, "fail": `{"status":200}`, "slow": `{"ms":120001}`, "charge": `{"amount":0}`,
	} {
		if _, err := b.run(action, input, call); connectors.AsError(err).Code != connectors.CodeConnectorActionInputInvalid {
			t.Errorf("%s %s: %v, want CONNECTOR_ACTION_INPUT_INVALID", action, input, err)
		}
	}
}

// tokenCall is a call of demo-oauth with that access token.
func (b *bench) tokenCall(token string) *connectors.Call {
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	return &connectors.Call{
		BaseURL: b.URL(), Config: json.RawMessage("{}"),
		HTTP: &http.Client{Transport: &oauth2.Transport{Source: source, Base: b.client.Transport}},
	}
}

func TestMeUsesTheGrant(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	c := b.connector("demo-oauth")
	token := b.authorize(c.Auth.OAuth2.Scopes...)
	action, ok := c.Action("me")
	if !ok {
		t.Fatal("no action me")
	}
	out, err := action.Run(t.Context(), b.tokenCall(token.AccessToken), nil)
	if want := `{"id":"usr_ava","name":"Ava Anchor","email":"ava@example.com"}`; string(out) != want || err != nil {
		t.Errorf("me = %s, %v, want %s", out, err, want)
	}
	_, err = action.Run(t.Context(), b.tokenCall("dat_old"), nil)
	if e := connectors.AsError(err); e.Code != connectors.CodeConnectorActionFailed || e.ProviderStatus != 401 {
		t.Errorf("me with an old token = %v, want CONNECTOR_ACTION_FAILED with 401", err)
	}
	o := c.Auth.OAuth2
	for _, address := range []string{o.AuthorizationURL, o.TokenURL, o.RevocationURL, o.UserInfoURL} {
		if a := b.do("GET", address, ""); a.Status == 404 {
			t.Errorf("%s does not exist", address)
		}
	}
}
