package oauth_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/ory/fosite"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// The same server, and a client that it knows by a private key only.
func TestAPrivateKeyIsAcceptedByAServerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	private, curve := rsaKey(t), ecKey(t)
	for _, tc := range []struct {
		algorithm string
		public    any
		secret    string
	}{
		{"RS256", &private.PublicKey, pkcs8(t, private)},
		{"PS256", &private.PublicKey, pkcs8(t, private)},
		{"ES256", &curve.PublicKey, jwkOf(t, curve, "key-1")},
	} {
		t.Run(tc.algorithm, func(t *testing.T) {
			t.Parallel()
			server, address, _ := newFosite(t)
			in := install(t, nil, oauthConnector("fosite", address, func(o *connectors.OAuth2) {
				o.UserInfoURL, o.ClientAuth, o.Assertion = "", connectors.ClientAuthKeyJWT, &connectors.Assertion{Algorithm: tc.algorithm}
			}))
			in.setApp("fosite", records.App{ClientID: "hawser", ClientSecrets: []secret.Text{secret.New(tc.secret)}})
			client := &fosite.DefaultOpenIDConnectClient{
				DefaultClient: &fosite.DefaultClient{
					ID: "hawser", RedirectURIs: []string{in.url + "/connectors/fosite/oauth/callback"}, Scopes: []string{"read", "profile"},
					ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
				},
				TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: tc.algorithm,
			}
			must(t, json.Unmarshal([]byte(`{"keys":[`+jwkOf(t, tc.public, "key-1")+`]}`), &client.JSONWebKeys))
			server.store.Clients["hawser"] = client
			b := newBrowser(t)
			var started struct {
				URL string `json:"authorization_url"`
			}
			const path = "/scopes/organization/acme/connections/fosite"
			in.call(http.MethodPut, path, map[string]any{}, &started)
			_, authorize, _ := b.get(started.URL)
			_, callback, _ := b.get(authorize)
			if status, _, body := b.get(callback); status != http.StatusOK {
				t.Fatalf("callback: got %d %s", status, body)
			}
			if status, problem := in.call(http.MethodPost, path+"/refresh", nil, nil); status != http.StatusOK {
				t.Errorf("refresh: got %d %v", status, &problem)
			}
			if status, problem := in.call(http.MethodDelete, path, nil, nil); status != http.StatusNoContent {
				t.Errorf("disconnect: got %d %v", status, &problem)
			}
			if got := server.refused.Load(); got != 0 || server.refreshes.Load() != 1 {
				t.Errorf("%d refreshes, %d refused; want one and none", server.refreshes.Load(), got)
			}
			if got := len(server.store.AccessTokens); got != 0 {
				t.Errorf("%d tokens are left at the provider, want that they were revoked", got)
			}
		})
	}
}

// A JWT as a grant is accepted there too.
func TestAJWTIsAGrantToAServerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	server, address, _ := newFosite(t)
	keys := `{"robot":{"Issuer":"robot","KeysBySub":{"una":{"Subject":"una","Keys":{"key-1":{"Key":` + jwkOf(t, &key.PublicKey, "key-1") + `,"Scopes":["read"]}}}}}}`
	must(t, json.Unmarshal([]byte(keys), &server.store.IssuerPublicKeys))
	c := machine(address, func(o *connectors.OAuth2) {
		o.ClientAuth, o.RevocationURL, o.Scopes = connectors.ClientAuthKeyJWT, "", []string{"read"}
		o.Mint = &connectors.Mint{GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", AssertionParam: "assertion"}
		o.Assertion = &connectors.Assertion{Claims: map[string]string{"sub": "${config.site}"}}
	})
	c.Validate = validateNothing
	in := install(t, nil, c)
	in.runExecutor(t)
	in.setApp("machine", records.App{ClientID: "robot", ClientSecrets: []secret.Text{secret.New(jwkOf(t, key, "key-1"))}})
	in.connectAndRenew(t, "machine", map[string]any{"site": "una"})
	if got := server.refused.Load(); got != 0 || len(server.store.AccessTokens) != 2 {
		t.Errorf("%d tokens there, %d refused; want two and none", len(server.store.AccessTokens), got)
	}
}

// jwkOf is a key as a JWK.
func jwkOf(t testing.TB, key any, id string) string {
	t.Helper()
	doc, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id, Use: "sig"})
	must(t, err)
	return string(doc)
}
