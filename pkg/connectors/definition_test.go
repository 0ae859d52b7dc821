package connectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// registered returns the connector as a registry keeps it.
func registered(t testing.TB, c connectors.Connector) *connectors.Connector {
	t.Helper()
	r := connectors.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	own, _ := r.Get(c.Key)
	return own
}

func mustDefine(t testing.TB, c *connectors.Connector) []byte {
	t.Helper()
	doc, err := c.Definition()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDefinitionContainsTheConnectorWithoutCodeAndSecrets(t *testing.T) {
	t.Parallel()
	c := registered(t, chat())
	doc := mustDefine(t, c)
	golden.JSON(t, "definitions/chat.json", json.RawMessage(doc))
	if strings.Contains(string(doc), "canary-7f3a") {
		t.Errorf("the definition holds a secret:\n%s", doc)
	}
	back, err := connectors.ParseDefinition(doc)
	if err != nil {
		t.Fatal(err)
	}
	want := *c
	want.DefaultConfig = json.RawMessage(`{"channel":"general","region":"eu"}`)
	want.Validate = nil
	want.Actions = append([]connectors.Action(nil), c.Actions...)
	for i := range want.Actions {
		want.Actions[i].Handler = nil
	}
	if diff := cmp.Diff(&want, back, cmpopts.IgnoreUnexported(connectors.Connector{})); diff != "" {
		t.Errorf("ParseDefinition (-want +got):\n%s", diff)
	}
	if !c.HasValidate() || !back.HasValidate() {
		t.Error("the definition does not say that the connector validates by code")
	}
	if again := mustDefine(t, back); string(again) != string(doc) {
		t.Errorf("the definition changes on its way:\n%s\n%s", doc, again)
	}
	if _, wrong := back.Config.Validate([]byte(`{"region":"eu"}`)); len(wrong) != 1 {
		t.Errorf("the parsed schema finds %v, want one error", wrong)
	}
}

func TestDefinitionOfAnOAuthConnector(t *testing.T) {
	t.Parallel()
	c := registered(t, connectors.Connector{
		Key: "docs", Config: schema.For[struct{}](), BaseURL: "https://api.docs.example",
		RateLimit: &connectors.RateLimit{Statuses: []int{403}, Text: "Retry after (.*)", Windows: []connectors.RateWindow{{Remaining: "X-Remaining", Reset: "X-Reset", Form: connectors.ExpiryEpoch}}},
		Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
			AuthorizationURL: "https://docs.example/authorize", TokenURL: "https://docs.example/token", RevocationURL: "https://docs.example/revoke",
			UserInfoURL: "https://docs.example/me", Issuer: "https://docs.example", Scopes: []string{"read"}, OptionalScopes: []string{"write"},
			ScopeSeparator: ",", ClientAuth: connectors.ClientAuthKeyJWT, ExtraParams: map[string]string{"prompt": "consent"}, Family: "docs-suite",
			TokenFields: map[string]string{"access_token": "authed_user.access_token"}, UserFields: map[string]string{"id": "user.id"},
			ParamNames: map[string]string{"client_id": "client_key", "response_type": ""}, TokenBody: connectors.TokenBodyJSON,
			Companions: map[string]connectors.Companion{"user": {
				TokenFields: map[string]string{"access_token": "user.token"}, RefreshFields: map[string]string{"access_token": "token"},
				RefreshURL: "https://docs.example/refresh", RevocationURL: "https://docs.example/user/revoke", Scopes: []string{"me"}, ScopeParam: "user_scope",
				TokenHeader: "X-User", BaseURL: "https://user.docs.example",
			}, "files": {Exchange: &connectors.Exchange{Token: "refresh_token", TokenParam: "refresh_token", GrantType: "refresh_token", Params: map[string]string{"scope": "files"}}}},
			Exchange:  &connectors.Exchange{URL: "https://docs.example/long", Method: "GET", GrantType: "long", TokenParam: "token", Omit: []string{"client_id"}},
			Renewal:   &connectors.Exchange{TokenFields: map[string]string{"access_token": "token"}},
			Repair:    &connectors.Repair{GrantType: "urn:docs:jwt-bearer"},
			Assertion: &connectors.Assertion{Algorithm: "PS256", Claims: map[string]string{"aud": "https://docs.example"}},
		}},
	})
	golden.JSON(t, "definitions/docs.json", c)
	back, err := connectors.ParseDefinition(mustDefine(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back, cmpopts.IgnoreUnexported(connectors.Connector{})); diff != "" {
		t.Errorf("ParseDefinition (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(*back); got != string(mustDefine(t, c)) {
		t.Errorf("a connector prints as %s, want its definition", got)
	}
}

// Programs that have only the definition know what its code could do.
func TestADefinitionNamesTheHooksOfItsOAuth(t *testing.T) {
	t.Parallel()
	o := connectors.OAuth2{AuthorizationURL: "https://docs.example/authorize", TokenURL: "https://docs.example/token"}
	o.ParseToken = func(int, http.Header, []byte) (json.RawMessage, error) { return nil, nil }
	o.SignToken = func(*http.Request, []byte, connectors.Secret) error { return nil }
	o.RepairToken = func(context.Context, *connectors.LostToken) (json.RawMessage, error) { return nil, nil }
	c := registered(t, connectors.Connector{
		Key: "docs", Config: schema.For[struct{}](), BaseURL: "https://api.docs.example", Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &o},
	})
	if !c.Auth.OAuth2.TokenHooksPresent() || !c.Auth.OAuth2.RepairHookPresent() {
		t.Error("the connector itself lacks its code")
	}
	doc := mustDefine(t, c)
	if want := `"hooks":["parse_token","repair_token","sign_token"]`; !strings.Contains(string(doc), want) {
		t.Errorf("got %s, want %s in it", doc, want)
	}
	back, err := connectors.ParseDefinition(doc)
	if err != nil {
		t.Fatal(err)
	}
	if back.Auth.OAuth2.TokenHooksPresent() || back.Auth.OAuth2.RepairHookPresent() {
		t.Error("the definition does not say that code is missing")
	}
	if again := mustDefine(t, back); string(again) != string(doc) {
		t.Errorf("the definition changes on its way:\n%s\n%s", doc, again)
	}
}

func TestParseDefinitionRefusesInvalidDocuments(t *testing.T) {
	t.Parallel()
	const good = `{"format":2,"key":"a","version":"1.0.0","config":{"type":"object"}}`
	if _, err := connectors.ParseDefinition([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ doc, want string }{
		"another format":  {strings.Replace(good, `:2`, `:1`, 1), "format 1 is not supported"},
		"an unknown part": {strings.Replace(good, `"key"`, `"sandbox":true,"key"`, 1), `unknown field "sandbox"`},
		"a member twice":  {strings.Replace(good, `"key"`, `"key":"b","key"`, 1), "key occurs twice"},
		"two documents":   {good + good, "something follows the value"},
		"no config":       {`{"format":2,"key":"a","version":"1.0.0","config":null}`, "config is required"},
		"a bad schema":    {strings.Replace(good, `"object"`, `"objekt"`, 1), "schema: type fits none"},
		"a bad key":       {strings.Replace(good, `"a"`, `"A"`, 1), "key must be"},
		"a bad timeout":   {strings.Replace(good, `"key"`, `"actions":{"x":{"timeout":"soon"}},"key"`, 1), "invalid duration"},
		"not even JSON":   {`{`, "is not valid JSON"},
		"not an object":   {`[]`, "cannot unmarshal array"},
	} {
		if _, err := connectors.ParseDefinition([]byte(tt.doc)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: ParseDefinition = %v, want an error with %q", name, err, tt.want)
		}
	}
}

func TestSecretsInArraysBecomeNullInADefinition(t *testing.T) {
	t.Parallel()
	c := registered(t, connectors.Connector{
		Key: "a", DefaultConfig: json.RawMessage(`{"l":["x", "y"],"o":{"s":{"k":1},"p":[1.50 , "<"]}}`),
		Config: mustSchema(t, `{"type":"object","properties":{"l":{"items":{"writeOnly":true}},"o":{"properties":{"s":{"writeOnly":true}}}}}`),
	})
	if got, want := string(mustDefine(t, c)), `"default_config":{"l":[null,null],"o":{"p":[1.50,"<"]}}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}
