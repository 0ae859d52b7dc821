package fosite_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/ory/fosite"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

const connectionPath = "/scopes/organization/acme/connections/fosite"

// connector is a connector of the server at address.
func connector(address string, change func(*connectors.OAuth2)) connectors.Connector {
	o := &connectors.OAuth2{
		AuthorizationURL: address + "/authorize", TokenURL: address + "/token", RevocationURL: address + "/revoke",
		Scopes: []string{"read", "profile"}, ClientAuth: connectors.ClientAuthBasic,
	}
	if change != nil {
		change(o)
	}
	return connectors.Connector{
		Key: "fosite", Config: schema.For[struct {
			Site string `json:"site,omitempty"`
		}](), BaseURL: address, Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: o},
	}
}

// installation is a node with an ingress, and the client that it uses at the server.
type installation struct {
	*testenv.Node
	front *testenv.Front
}

func install(t testing.TB, clientID, clientSecret string, c connectors.Connector) *installation {
	t.Helper()
	n, front := testenv.StartReachable(t, testenv.NodeOptions{Connectors: []connectors.Connector{c}})
	testenv.Must(t, n.Apps.Set(t.Context(), "fosite", records.App{ClientID: clientID, ClientSecrets: []secret.Text{secret.New(clientSecret)}}))
	return &installation{n, front}
}

// api sends a request to the management API, and returns status and body.
func (in *installation) api(t testing.TB, method, path, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, in.front.URL+"/api/v1"+path, strings.NewReader(body))
	testenv.Must(t, err)
	r.Header.Set("Authorization", "Bearer "+in.front.Token.Reveal())
	response, err := in.front.HTTP.Do(r)
	testenv.Must(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	testenv.Must(t, err)
	return response.StatusCode, answer
}

func (in *installation) callback() string {
	return in.front.URL + "/api/v1/connectors/fosite/oauth/callback"
}

// connect authorises acme in a browser, and returns the key of its grant.
func (in *installation) connect(t testing.TB, query string) (grant string) {
	t.Helper()
	var started struct {
		URL string `json:"authorization_url"`
	}
	status, answer := in.api(t, http.MethodPut, connectionPath+query, `{}`)
	if status != http.StatusOK {
		t.Fatalf("start: got %d %s", status, answer)
	}
	testenv.Must(t, json.Unmarshal(answer, &started))
	b := testenv.NewBrowser(t)
	_, authorize, _ := b.Get(started.URL)
	_, callback, _ := b.Get(authorize)
	if status, _, body := b.Get(callback); status != http.StatusOK {
		t.Fatalf("callback: got %d %s", status, body)
	}
	return in.connection(t).Grant
}

func (in *installation) connection(t testing.TB) *records.Connection {
	t.Helper()
	c, err := in.Service.Latest(t.Context(), records.NewRef(testenv.Org("acme"), "fosite", ""))
	testenv.Must(t, err)
	return c
}

func (in *installation) wantStatus(t testing.TB, method, path string, want int) {
	t.Helper()
	if status, answer := in.api(t, method, path, ""); status != want {
		t.Errorf("%s %s: got %d %s, want %d", method, path, status, answer, want)
	}
}

// expire makes the stored access token look expired, and waits until the nodes see it.
func (in *installation) expire(t testing.TB, key string, change func(*records.Grant), nodes ...*testenv.Node) {
	t.Helper()
	testenv.Eventually(t, "the grant is stored", func() bool {
		g, err := in.Grants.Latest(t.Context(), key)
		testenv.Must(t, err)
		g.IssuedAt, g.ExpiresAt, g.RetryAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour), time.Time{}
		if change != nil {
			change(g)
		}
		return in.Grants.Save(t.Context(), g) == nil
	})
	for _, n := range append(nodes, in.Node) {
		testenv.Eventually(t, "the node's cache has the change", func() bool {
			g, err := n.Grants.Get(t.Context(), key)
			return err == nil && g.ExpiresAt.Before(time.Now())
		})
	}
}

func TestTokensAreRefreshedOnceAndAReplayEndsTheGrant(t *testing.T) {
	t.Parallel()
	server, address, register := newServer(t)
	in := install(t, "hawser", clientSecret, connector(address, nil))
	register(in.callback())
	grant := in.connect(t, "")
	nodes := []*testenv.Node{in.Node, in.Join(t), in.Join(t), in.Join(t)}
	for round := int64(1); round <= 5; round++ {
		in.expire(t, grant, nil, nodes...)
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if _, err := nodes[i%len(nodes)].OAuth.Source.Fresh(t.Context(), grant); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		if got, refused := server.refreshes.Load(), server.refused.Load(); got != round || refused != 0 {
			t.Fatalf("round %d: %d refreshes, %d refused; want %d and none", round, got, refused, round)
		}
	}
	g, err := in.Grants.Latest(t.Context(), grant)
	testenv.Must(t, err)
	old, err := in.Grants.Open(g)
	testenv.Must(t, err)
	in.expire(t, grant, nil)
	_, err = in.OAuth.Source.Fresh(t.Context(), grant)
	testenv.Must(t, err)
	in.expire(t, grant, func(g *records.Grant) { testenv.Must(t, in.Grants.Seal(g, old)) })
	if _, err := in.OAuth.Source.Fresh(t.Context(), grant); connectors.AsError(err) == nil || connectors.AsError(err).Code != connectors.CodeConnectorOAuthRefreshFailed {
		t.Errorf("a replayed token: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", err)
	}
	if got := in.connect(t, "?replace=true"); got != grant {
		t.Errorf("reconnected to grant %s, want %s", got, grant)
	}
	in.wantStatus(t, http.MethodDelete, connectionPath, http.StatusNoContent)
}

func TestAPrivateKeyAuthenticatesTheClient(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	testenv.Must(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testenv.Must(t, err)
	for _, tc := range []struct {
		algorithm string
		public    any
		secret    string
	}{
		{"RS256", &private.PublicKey, pkcs8(t, private)},
		{"PS256", &private.PublicKey, pkcs8(t, private)},
		{"ES256", &curve.PublicKey, jwkOf(t, curve)},
	} {
		t.Run(tc.algorithm, func(t *testing.T) {
			t.Parallel()
			server, address, _ := newServer(t)
			in := install(t, "hawser", tc.secret, connector(address, func(o *connectors.OAuth2) {
				o.ClientAuth, o.Assertion = connectors.ClientAuthKeyJWT, &connectors.Assertion{Algorithm: tc.algorithm}
			}))
			client := &fosite.DefaultOpenIDConnectClient{
				DefaultClient: &fosite.DefaultClient{
					ID: "hawser", RedirectURIs: []string{in.callback()}, Scopes: []string{"read", "profile"},
					ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
				},
				TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: tc.algorithm,
			}
			testenv.Must(t, json.Unmarshal([]byte(`{"keys":[`+jwkOf(t, tc.public)+`]}`), &client.JSONWebKeys))
			server.store.Clients["hawser"] = client
			in.connect(t, "")
			in.wantStatus(t, http.MethodPost, connectionPath+"/refresh", http.StatusOK)
			in.wantStatus(t, http.MethodDelete, connectionPath, http.StatusNoContent)
			if got := server.refused.Load(); got != 0 || server.refreshes.Load() != 1 {
				t.Errorf("%d refreshes, %d refused; want one and none", server.refreshes.Load(), got)
			}
			if got := len(server.store.AccessTokens); got != 0 {
				t.Errorf("%d tokens are left at the provider, want them revoked", got)
			}
		})
	}
}

func TestAJWTIsAGrant(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	testenv.Must(t, err)
	server, address, _ := newServer(t)
	keys := `{"robot":{"Issuer":"robot","KeysBySub":{"una":{"Subject":"una","Keys":{"key-1":{"Key":` + jwkOf(t, &key.PublicKey) + `,"Scopes":["read"]}}}}}}`
	testenv.Must(t, json.Unmarshal([]byte(keys), &server.store.IssuerPublicKeys))
	c := connector(address, func(o *connectors.OAuth2) {
		o.AuthorizationURL, o.RevocationURL, o.ClientAuth, o.Scopes = "", "", connectors.ClientAuthKeyJWT, []string{"read"}
		o.Mint = &connectors.Mint{GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", AssertionParam: "assertion"}
		o.Assertion = &connectors.Assertion{Claims: map[string]string{"sub": "${config.site}"}}
	})
	c.Auth.Kind = connectors.AuthClientCredentials
	c.Validate = func(context.Context, *connectors.Call) error { return nil }
	in := install(t, "robot", jwkOf(t, key), c)
	in.StartExecutor(t, nil)
	if status, answer := in.api(t, http.MethodPut, connectionPath, `{"config":{"site":"una"}}`); status != http.StatusCreated {
		t.Fatalf("connect: got %d %s", status, answer)
	}
	in.wantStatus(t, http.MethodPost, connectionPath+"/refresh", http.StatusOK)
	if got := server.refused.Load(); got != 0 || len(server.store.AccessTokens) != 2 {
		t.Errorf("%d tokens there, %d refused; want two and none", len(server.store.AccessTokens), got)
	}
}

// pkcs8 returns a private key in PEM.
func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	testenv.Must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// jwkOf returns a key as a JWK.
func jwkOf(t testing.TB, key any) string {
	t.Helper()
	doc, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "key-1", Use: "sig"})
	testenv.Must(t, err)
	return string(doc)
}
