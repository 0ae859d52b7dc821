package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// TestAFamilySharesOneGrant connects two products of one provider: the second asks
// for the scopes of both, and both use the tokens of one grant.
func TestAFamilySharesOneGrant(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	member := func(key string, scopes ...string) connectors.Connector {
		return oauthConnector(key, p.URL(), func(o *connectors.OAuth2) { o.Family, o.Scopes, o.Issuer = "suite", scopes, p.URL() })
	}
	in := install(t, nil, member("issues", "read", "profile"), member("pages", "write"), oauthConnector("apart", p.URL(), nil))
	in.setApp("suite", demoApp) // one app serves the family
	in.setApp("apart", demoApp)
	asked := func(connector, tenant string) string {
		started := in.start("/scopes/organization/"+tenant+"/connections/"+connector, map[string]any{})
		_, authorize, _ := testenv.NewBrowser(t).Get(started)
		u, err := url.Parse(authorize)
		must(t, err)
		return u.Query().Get("scope")
	}
	connect := func(connector, tenant string) *records.Connection {
		b := testenv.NewBrowser(t)
		if status, _, body := b.Get(in.begin(b, "/scopes/organization/"+tenant+"/connections/"+connector, map[string]any{}, approve)); status != http.StatusOK {
			t.Fatalf("%s of %s: got %d %s", connector, tenant, status, body)
		}
		c, err := in.front.Service.Latest(t.Context(), records.NewRef(events.Tenant{Scope: "organization", Identity: tenant}, connector, ""))
		must(t, err)
		return c
	}
	issues := connect("issues", "acme")
	for _, tc := range []struct{ connector, tenant, want string }{
		{"pages", "acme", "write read profile"}, // the union
		{"pages", "other", "write"},             // another tenant's connections do not count
		{"apart", "acme", "read profile"},       // no family, no look-up
	} {
		if got := asked(tc.connector, tc.tenant); got != tc.want {
			t.Errorf("%s of %s asks for %q, want %q", tc.connector, tc.tenant, got, tc.want)
		}
	}
	pages := connect("pages", "acme")
	foreign := connect("pages", "other")
	if issues.Grant != pages.Grant || foreign.Grant == pages.Grant {
		t.Errorf("grants: issues %s, pages %s, of another tenant %s; want the first two the same", issues.Grant, pages.Grant, foreign.Grant)
	}
	g := in.expire(pages.Grant)
	if got := strings.Join(g.Granted, " "); got != "profile read write" || g.Generation != 2 {
		t.Errorf("grant: %s, generation %d; want the union, and one rotation for both", got, g.Generation)
	}
	var first, second connection.Runtime
	in.call(http.MethodPost, "/scopes/organization/acme/connections/issues/resolve", nil, &first)
	in.call(http.MethodPost, "/scopes/organization/acme/connections/pages/resolve", nil, &second)
	if first.Headers["Authorization"] == "" || first.Headers["Authorization"] != second.Headers["Authorization"] {
		t.Error("the connections do not use the same token")
	}
	if got := stats(t, p); got.Refreshes != 1 {
		t.Errorf("provider counted %+v, want one refresh for both", got)
	}
}
