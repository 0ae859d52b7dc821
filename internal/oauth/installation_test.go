package oauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// installable is a connector of an app that accounts install, at a provider where the user
// sees the installations of answers.
func installable(t *testing.T, installations string) (in *installation, provider *transcript) {
	t.Helper()
	provider = &transcript{headers: []string{"Authorization"}, answers: map[string]string{
		"/token": `{"access_token":"USER","expires_in":60}`, "/installations": installations,
	}}
	for _, id := range []string{"7", "8", "9"} {
		provider.answers["/i/"+id+"/tokens"] = `{"token":"INST` + id + `","expires_at":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`
	}
	in = install(t, nil, connectorAt(newServer(t, provider), func(c *connectors.Connector, o *connectors.OAuth2) {
		o.ResourcesURL, o.Metadata = c.BaseURL+"/installations", map[string]string{"site": "resource.id"}
		o.Installation = &connectors.Installation{
			Param: "installation_id", TokenURL: c.BaseURL + "/i/${installation.id}/tokens", ClientSecret: "${app.extra.key}", ClientAuth: connectors.ClientAuthSecretJWT, Mint: &connectors.Mint{},
		}
	}))
	app := keyedApp
	app.Extra = map[string]secret.Text{"key": secret.New("a-key-that-signs")}
	in.setApp("p", app)
	return in, provider
}

const onP = "/scopes/organization/acme/connections/p"

// minted returns the requests for tokens of installations.
func minted(p *transcript) (paths []string) {
	for _, line := range p.said() {
		if strings.Contains(line, "POST /i/") {
			path, _, _ := strings.Cut(strings.TrimPrefix(line, "POST "), " ")
			paths = append(paths, path)
		}
	}
	return paths
}

func TestAnInstalledAppHasTheTokensOfItsInstallation(t *testing.T) {
	t.Parallel()
	in, provider := installable(t, `[{"id":7,"name":"seven"},{"id":8}]`)
	if status, answer, _ := in.authorize(testenv.NewBrowser(t), in.start(onP, map[string]any{}), "&installation_id=7&setup_action=install"); status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, answer)
	}
	c := in.connection("p", "")
	g := in.grant(c.Grant)
	if c.State != records.Active || c.Resource == nil || c.Resource.ID != "7" || g.Account != "7" || !g.ClientCredentials {
		t.Errorf("got connection %+v of grant %+v, want one of installation 7", c, g)
	}
	token, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant)
	if err != nil || token.Access.Reveal() != "INST7" {
		t.Errorf("token: got %v, want the installation's", err)
	}
	in.expire(c.Grant)
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant); err != nil {
		t.Errorf("renewal: %v", err)
	}
	if diff := gocmp.Diff([]string{"/i/7/tokens", "/i/7/tokens"}, minted(provider)); diff != "" {
		t.Errorf("requested (-want +got):\n%s", diff)
	}
}

// Whoever names another's installation gets nothing.
func TestAnInstallationOfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	in, provider := installable(t, `[{"id":7},{"id":8}]`)
	for _, query := range []string{"&installation_id=9", "&installation_id=..%2F9", "&installation_id=7%2F..%2F9"} {
		status, answer, _ := in.authorize(testenv.NewBrowser(t), in.start(onP, map[string]any{}), query)
		if status != http.StatusBadRequest || !strings.Contains(answer, `"reason":"mismatch"`) {
			t.Errorf("%s: got %d %s, want mismatch", query, status, answer)
		}
	}
	if got := minted(provider); len(got) != 0 {
		t.Errorf("tokens were requested: %v", got)
	}
}

// Without an id the user chooses among the installations; the first use requests the tokens.
func TestAUserChoosesAnInstallation(t *testing.T) {
	t.Parallel()
	in, provider := installable(t, `[{"id":7},{"id":8}]`)
	if status, answer, _ := in.authorize(testenv.NewBrowser(t), in.start(onP, map[string]any{}), ""); status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, answer)
	}
	if c := in.connection("p", ""); c.State != records.Selecting || len(minted(provider)) != 0 {
		t.Fatalf("got %s and requests %v, want selecting and none", c.State, minted(provider))
	}
	if status, problem := in.call(http.MethodPost, onP+"/select", map[string]any{"resource_id": "9"}, nil); status != http.StatusBadRequest {
		t.Errorf("another's: got %d %v, want 400", status, &problem)
	}
	if status, problem := in.call(http.MethodPost, onP+"/select", map[string]any{"resource_id": "8"}, nil); status != http.StatusOK {
		t.Fatalf("select: got %d %v", status, &problem)
	}
	token, err := in.front.OAuth.Source.Fresh(t.Context(), in.connection("p", "").Grant)
	if err != nil || token.Access.Reveal() != "INST8" {
		t.Errorf("token: got %v, want that of installation 8", err)
	}
	if diff := gocmp.Diff([]string{"/i/8/tokens"}, minted(provider)); diff != "" {
		t.Errorf("requested (-want +got):\n%s", diff)
	}
}

// The reply of the token endpoint can have the id.
func TestAReplyNamesTheInstallation(t *testing.T) {
	t.Parallel()
	for source, reply := range map[string]string{
		"token.team.id": `{"access_token":"USER","team":{"id":"t1"}}`,
		"id_token.tid":  fmt.Sprintf(`{"access_token":"USER","id_token":"eyJhbGciOiJSUzI1NiJ9.%s.c2ln"}`, "eyJ0aWQiOiJ0MSJ9"),
	} {
		provider := &transcript{answers: map[string]string{"/token": reply}}
		in := install(t, nil, connectorAt(newServer(t, provider), func(c *connectors.Connector, o *connectors.OAuth2) {
			o.Installation = &connectors.Installation{ID: source, TokenURL: c.BaseURL + "/i/${installation.id}/tokens", Scopes: []string{"all"}}
		}))
		in.setApp("p", demoApp)
		if status, answer, _ := in.authorize(testenv.NewBrowser(t), in.start(onP, map[string]any{}), "&tenant=forged"); status != http.StatusOK {
			t.Fatalf("callback: got %d %s", status, answer)
		}
		lines := provider.said()
		if got, want := lines[len(lines)-1], "POST /i/t1/tokens client_id=demo-client&client_secret=demo-secret&grant_type=client_credentials&scope=all"; got != want {
			t.Errorf("%s: requested %q, want %q", source, got, want)
		}
	}
}
