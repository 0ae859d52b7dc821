package connectors_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// A tenant who could set the account of another tenant would receive its webhooks.
func TestRegisterRefusesAnAccountFieldThatATenantCanSet(t *testing.T) {
	t.Parallel()
	c := func(change func(*connectors.Connector)) connectors.Connector {
		c := connectors.Connector{
			Key: "probe", BaseURL: "https://api.example.com", Config: schema.For[struct {
				Team string `json:"team"`
			}](),
			Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
				AuthorizationURL: "https://example.com/authorize", TokenURL: "https://example.com/token",
			}},
			Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{AccountField: "team", AppSecret: webhooks.AppClientSecret,
				Delivery: webhooks.Extraction{Account: "{body.team}"}, Verify: []webhooks.Verification{{
					Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
					Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}",
				}}}},
		}
		change(&c)
		return c
	}
	metadata := func(source string) func(*connectors.Connector) {
		return func(c *connectors.Connector) { c.Auth.OAuth2.Metadata = map[string]string{"team": source} }
	}
	for name, tc := range map[string]struct {
		change func(*connectors.Connector)
		want   bool
	}{
		"set by the tenant":         {func(*connectors.Connector) {}, false},
		"from the browser":          {metadata("query.team"), false},
		"from the provider's reply": {metadata("token.team.id"), true},
		"of the user":               {metadata("user.id"), true},
		"of the site":               {metadata("resource.id"), true},
		"proven by code": {func(c *connectors.Connector) {
			c.Validate = func(context.Context, *connectors.Call) error { return nil }
		}, true},
		"by good credentials alone": {func(c *connectors.Connector) { c.Health = &connectors.Request{Path: "/me"} }, false},
		"asked for with the tenant's credentials": {func(c *connectors.Connector) {
			c.Health = &connectors.Request{Path: "/teams/${config.team}"}
		}, true},
		"asked for with the operator's credentials": {func(c *connectors.Connector) {
			c.Health, c.Auth.Kind = &connectors.Request{Path: "/teams/${config.team}"}, connectors.AuthClientCredentials
		}, false},
		"proven by code beside a probe": {func(c *connectors.Connector) {
			c.Health = &connectors.Request{Path: "/me"}
			c.Validate = func(context.Context, *connectors.Call) error { return nil }
		}, true},
		"learnt from the provider": {func(c *connectors.Connector) {
			c.Learn = &connectors.Learn{Request: connectors.Request{Path: "/me"}, Config: map[string]string{"team": ".body.team"}}
		}, true},
		"another field is learnt": {func(c *connectors.Connector) {
			c.Learn = &connectors.Learn{Request: connectors.Request{Path: "/me"}, Config: map[string]string{"name": ".body.name"}}
		}, false},
		"with no URL of an app": {func(c *connectors.Connector) { c.Webhook.Delivery.Account = "" }, true},
		"with no flow that fills it ": {func(c *connectors.Connector) {
			metadata("token.team.id")(c)
			c.Auth.Kind = connectors.AuthClientCredentials
		}, false},
	} {
		def := c(tc.change)
		err := connectors.NewRegistry().Register(def)
		if got := err == nil; got != tc.want || err != nil && !strings.Contains(err.Error(), "webhook.account_field") {
			t.Errorf("%s: got %v, want it registered: %v", name, err, tc.want)
		}
		if err != nil {
			continue
		}
		doc, err := def.Definition()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connectors.ParseDefinition(doc); err != nil {
			t.Errorf("%s: its definition is refused: %v", name, err)
		}
	}
}
