package oauth_test

import (
	"net/http"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// An app-wide webhook is routed by the provider's account, so the account comes from the
// provider and never from the config that a user enters.
func TestTheProvidersAccountCannotBeEntered(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	type config struct {
		Team string `json:"team,omitempty"`
		Note string `json:"note,omitempty"`
	}
	teams := func(key, source string) connectors.Connector {
		c := oauthConnector(key, p.URL(), func(o *connectors.OAuth2) { o.Metadata = map[string]string{"team": source} })
		c.Config = schema.For[config]()
		c.Webhook = &connectors.Webhook{Descriptor: webhooks.Descriptor{AccountField: "team", AppSecret: webhooks.AppClientSecret, Delivery: webhooks.Extraction{Account: "{body.team}"},
			Verify: []webhooks.Verification{{Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}"}}}}
		return c
	}
	probed := teams("probed", "user.id")
	probed.Health = &connectors.Request{Path: "/userinfo"} // shows that the token is good, not whose the team is
	if err := manifest.Bind(&probed); err != nil {
		t.Fatal(err)
	}
	in := install(t, nil, teams("known", "user.id"), teams("unknown", "resource.id"), probed)
	in.runExecutor(t)
	for key, want := range map[string]string{"known": "usr_ava", "unknown": "", "probed": "usr_ava"} {
		in.setApp(key, demoApp)
		path, b := "/scopes/organization/acme/connections/"+key, testenv.NewBrowser(t)
		entered := map[string]any{"config": map[string]string{"team": "another's"}}
		if status, _, body := b.Get(in.begin(b, path, entered, approve)); status != http.StatusOK {
			t.Fatalf("%s: callback: %d %s", key, status, body)
		}
		check := func(when string) {
			t.Helper()
			c := in.connection(key, "")
			if others, err := in.front.Store.ByProviderAccount(t.Context(), key, "another's"); c.ProviderAccount != want || err != nil || len(others) > 0 {
				t.Errorf("%s, %s: its account is %q, want %q; %d connections are of the other, %v", key, when, c.ProviderAccount, want, len(others), err)
			}
		}
		check("entered when connecting")
		for _, team := range []any{"another's", nil, 7} {
			status, problem := in.call(http.MethodPatch, path, map[string]any{"config": map[string]any{"team": team}}, nil)
			if team != nil || want != "" {
				if status != http.StatusBadRequest {
					t.Errorf("%s: a change to %v got %d %v, want 400", key, team, status, problem.Errors)
				}
			}
			check("changed")
		}
		if status, problem := in.call(http.MethodPatch, path, map[string]any{"config": map[string]any{"note": "n"}}, nil); status != http.StatusOK {
			t.Errorf("%s: another change got %d %v", key, status, problem.Errors)
		}
	}
}
