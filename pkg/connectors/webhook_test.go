package connectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors"
)

func TestAWebhookIsTheSameAfterJSON(t *testing.T) {
	t.Parallel()
	want := soundWebhook()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got connectors.Webhook
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", text, diff)
	}
	for _, name := range []string{`"tolerance":"1m0s"`, `"secret_field"`, `"signature":{"from":"header.X-Signature","separator":",","prefix":"v2="}`} {
		if !strings.Contains(string(text), name) {
			t.Errorf("%s has no %s", text, name)
		}
	}
}

func TestAWebhookReadsFromYAML(t *testing.T) {
	t.Parallel()
	const text = `
secret_field: webhookSecret
verify:
  - scheme: hmac
    algorithm: sha256
    encoding: hex
    signature: {from: header.X-Demo-Signature, prefix: "sha256="}
    signed: "{timestamp}.{body}"
    timestamp: {from: header.X-Demo-Timestamp, tolerance: 5m}
delivery:
  id: "{header.X-Demo-Delivery}"
`
	var w connectors.Webhook
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
	if got := time.Duration(w.Verify[0].Timestamp.Tolerance); got != 5*time.Minute || w.Verify[0].Timestamp.From != "header.X-Demo-Timestamp" {
		t.Errorf("timestamp = %+v, want 5 min from the header", w.Verify[0].Timestamp)
	}
}

func TestAllowedMethodsAreThoseOfDeliveriesAndHandshakes(t *testing.T) {
	t.Parallel()
	w := connectors.Webhook{Handshakes: []connectors.Handshake{{}, {Methods: []string{"GET", "HEAD"}}, {Methods: []string{"GET"}}}}
	if diff := cmp.Diff([]string{"POST", "GET", "HEAD"}, w.AllowedMethods()); diff != "" {
		t.Errorf("AllowedMethods (-want +got):\n%s", diff)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for set, want := range map[int64]int64{0: 1 << 20, 10: 10} {
		if got := (&connectors.Webhook{MaxBody: set}).BodyLimit(); got != want {
			t.Errorf("BodyLimit of %d = %d, want %d", set, got, want)
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{", "}", "[", "]", "{}", "{body", "[{body}", "{body}]", "[[{body}]]", "[text]", "[]", "{x}", "{body.}", "{body.a..b}", "{header.}",
		"{header.a b}", "{method.x}", "{url.host}", "{query.}", "{form.}", "{each}", "{each.}", "{claim}", "{body|}", "{|body}", "{body~}",
		"{timestamp.x}", "{id.x}", "{secret.x}", strings.Repeat("x", 4097),
	} {
		if parsed, err := connectors.ParseWebhookTemplate(text); err == nil {
			t.Errorf("%.40q is read as %v", text, parsed)
		}
	}
}

func TestTemplatesAreReadAsWritten(t *testing.T) {
	t.Parallel()
	got, err := connectors.ParseWebhookTemplate("v0:{timestamp}:{header.X-A|body.a.b~p-}[, {query.hub.mode}]")
	if err != nil {
		t.Fatal(err)
	}
	ref := func(kind, name string) connectors.Reference { return connectors.Reference{Kind: kind, Name: name} }
	want := connectors.WebhookTemplate{
		{Literal: "v0:"}, {Refs: []connectors.Reference{ref("timestamp", "")}}, {Literal: ":"},
		{Refs: []connectors.Reference{ref("header", "X-A"), ref("body", "a.b")}, Strip: "p-"},
		{Group: connectors.WebhookTemplate{{Literal: ", "}, {Refs: []connectors.Reference{ref("query", "hub.mode")}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("template (-want +got):\n%s", diff)
	}
}

func FuzzWebhookTemplate(f *testing.F) {
	for _, seed := range []string{"{body}", "[{a}]", "v0:{timestamp}:{body}", "{header.X|query.y~z}", "[[", "{{}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := connectors.ParseWebhookTemplate(text)
		if err != nil {
			return
		}
		if written := write(parsed); written != text {
			t.Errorf("%q is written back as %q", text, written)
		}
	})
}

// write is the text of a template.
func write(t connectors.WebhookTemplate) string {
	var b strings.Builder
	for _, part := range t {
		switch {
		case part.Group != nil:
			fmt.Fprintf(&b, "[%s]", write(part.Group))
		case part.Refs != nil:
			var refs []string
			for _, ref := range part.Refs {
				refs = append(refs, ref.String())
			}
			b.WriteString("{" + strings.Join(refs, "|"))
			if part.Strip != "" {
				b.WriteString("~" + part.Strip)
			}
			b.WriteString("}")
		default:
			b.WriteString(part.Literal)
		}
	}
	return b.String()
}

func ExampleWebhook() {
	hook := connectors.Webhook{
		SecretField: "webhookSecret",
		Verify: []connectors.Verification{{
			Scheme: connectors.SchemeHMAC, Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex,
			Signature: connectors.Source{From: "header.X-Demo-Signature", Prefix: "sha256="},
			Signed:    "{timestamp}.{body}",
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.X-Demo-Timestamp"}},
		}},
		Delivery: connectors.Extraction{ID: "{header.X-Demo-Delivery}", Type: "{header.X-Demo-Event}"},
	}
	fmt.Println(hook.Check())
	hook.Verify[0].Algorithm = "md5"
	fmt.Println(hook.Check())
	// Output:
	// <nil>
	// verify.0.algorithm: unknown "md5"; use one of sha1, sha256, sha512
}

func TestAnAccountFieldHasToBeInTheConfig(t *testing.T) {
	t.Parallel()
	c := connectors.Connector{
		Key: "probe", Config: connectors.SchemaFor[struct {
			Team string `json:"team"`
		}](), Auth: connectors.Auth{Kind: connectors.AuthNone},
		Webhook: &connectors.Webhook{AccountField: "teem", Verify: []connectors.Verification{{Scheme: connectors.SchemeUnsigned}}},
	}
	if err := connectors.NewRegistry().Register(c); err == nil || !strings.Contains(err.Error(), "webhook.account_field") {
		t.Errorf("got %v, want an error that names webhook.account_field", err)
	}
	c.Webhook.AccountField = "team"
	if err := connectors.NewRegistry().Register(c); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

// Whoever could type the account of another would get that one's webhooks.
func TestAnAppsWebhooksGoToNoAccountThatWasMerelyTyped(t *testing.T) {
	t.Parallel()
	c := func(change func(*connectors.Connector)) connectors.Connector {
		c := connectors.Connector{
			Key: "probe", BaseURL: "https://api.example.com", Config: connectors.SchemaFor[struct {
				Team string `json:"team"`
			}](),
			Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
				AuthorizationURL: "https://example.com/authorize", TokenURL: "https://example.com/token",
			}},
			Webhook: &connectors.Webhook{AccountField: "team", AppSecret: connectors.AppClientSecret,
				Delivery: connectors.Extraction{Account: "{body.team}"}, Verify: []connectors.Verification{{
					Scheme: connectors.SchemeHMAC, Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex,
					Signature: connectors.Source{From: "header.X-Signature"}, Signed: "{body}",
				}}},
		}
		change(&c)
		return c
	}
	metadata := func(source string) func(*connectors.Connector) {
		return func(c *connectors.Connector) { c.Auth.OAuth2.Metadata = map[string]string{"team": source} }
	}
	for name, tc := range map[string]struct {
		change func(*connectors.Connector)
		taken  bool
	}{
		"typed":                     {func(*connectors.Connector) {}, false},
		"from the browser":          {metadata("query.team"), false},
		"from the provider's reply": {metadata("token.team.id"), true},
		"of the user":               {metadata("user.id"), true},
		"of the site":               {metadata("resource.id"), true},
		"proven by code": {func(c *connectors.Connector) {
			c.Validate = func(context.Context, *connectors.Call) error { return nil }
		}, true},
		"with no URL of an app": {func(c *connectors.Connector) { c.Webhook.Delivery.Account = "" }, true},
		"with no flow that fills it ": {func(c *connectors.Connector) {
			metadata("token.team.id")(c)
			c.Auth.Kind = connectors.AuthClientCredentials
		}, false},
	} {
		def := c(tc.change)
		err := connectors.NewRegistry().Register(def)
		if taken := err == nil; taken != tc.taken || err != nil && !strings.Contains(err.Error(), "webhook.account_field") {
			t.Errorf("%s: got %v, want that it is taken: %v", name, err, tc.taken)
		}
		if err != nil {
			continue
		}
		doc, err := def.Definition()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connectors.ParseDefinition(doc); err != nil {
			t.Errorf("%s: its definition is not taken: %v", name, err)
		}
	}
}
