package oauth_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// fositeServer is an authorization server that is not ours: ory/fosite, with PKCE
// enforced, refresh tokens rotated, and a family revoked when one is used twice.
type fositeServer struct {
	provider  fosite.OAuth2Provider
	store     *storage.MemoryStore
	refreshes atomic.Int64
	refused   atomic.Int64
}

const fositeSecret = "a-secret-of-fosite"

// newFosite returns the server's URL; its one client is "hawser" and may come back
// to callback.
func newFosite(t testing.TB) (s *fositeServer, address string, register func(callback string)) {
	t.Helper()
	config := &fosite.Config{
		GlobalSecret: []byte("thirty-two-bytes-of-test-secret!"), AccessTokenLifespan: time.Hour, RefreshTokenLifespan: 24 * time.Hour,
		EnforcePKCE: true, RefreshTokenScopes: []string{}, SendDebugMessagesToClients: false,
	}
	store := storage.NewMemoryStore()
	s = &fositeServer{store: store, provider: compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenRevocationFactory, compose.OAuth2PKCEFactory,
		compose.OAuth2ClientCredentialsGrantFactory, compose.RFC7523AssertionGrantFactory)}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/revoke", func(w http.ResponseWriter, r *http.Request) {
		s.provider.WriteRevocationResponse(r.Context(), w, s.provider.NewRevocationRequest(r.Context(), r))
	})
	address = newServer(t, mux)
	config.TokenURL, config.GrantTypeJWTBearerCanSkipClientAuth = address+"/token", true
	return s, address, func(callback string) {
		hashed, err := bcrypt.GenerateFromPassword([]byte(fositeSecret), bcrypt.MinCost)
		must(t, err)
		store.Clients["hawser"] = &fosite.DefaultClient{
			ID: "hawser", Secret: hashed, RedirectURIs: []string{callback}, Scopes: []string{"read", "profile"},
			ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		}
	}
}

func (s *fositeServer) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := s.provider.NewAuthorizeRequest(ctx, r)
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := s.provider.NewAuthorizeResponse(ctx, request, &fosite.DefaultSession{Subject: "someone"})
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	s.provider.WriteAuthorizeResponse(ctx, w, request, response)
}

func (s *fositeServer) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := s.provider.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err == nil {
		var response fosite.AccessResponder
		if response, err = s.provider.NewAccessResponse(ctx, request); err == nil {
			if request.GetGrantTypes().Has("refresh_token") {
				s.refreshes.Add(1)
			}
			s.provider.WriteAccessResponse(ctx, w, request, response)
			return
		}
	}
	s.refused.Add(1)
	s.provider.WriteAccessError(ctx, w, request, err)
}

func TestAgainstAnAuthorizationServerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	server, address, register := newFosite(t)
	in := install(t, nil, oauthConnector("fosite", address, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.ClientAuth = "", connectors.ClientAuthBasic
	}))
	register(in.url + "/connectors/fosite/oauth/callback")
	in.setApp("fosite", records.App{ClientID: "hawser", ClientSecrets: []secret.Text{secret.New(fositeSecret)}})
	const path = "/scopes/organization/acme/connections/fosite"
	connect := func(query string) string {
		b := newBrowser(t)
		started := in.start(path+query, map[string]any{})
		_, authorize, _ := b.get(started)
		_, callback, _ := b.get(authorize)
		if status, _, body := b.get(callback); status != http.StatusOK {
			t.Fatalf("callback: got %d %s", status, body)
		}
		c := in.connection("fosite", "")
		return c.Grant
	}
	grant := connect("")
	nodes := []*node{in.join(t), in.join(t), in.join(t), in.join(t)}
	for round := int64(1); round <= 5; round++ {
		in.expire(grant)
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if _, err := nodes[i%len(nodes)].tokens.Source.Fresh(t.Context(), grant); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		if got, refused := server.refreshes.Load(), server.refused.Load(); got != round || refused != 0 {
			t.Fatalf("round %d: %d refreshes, %d refused; want %d and none", round, got, refused, round)
		}
	}
	// An old refresh token kills the family there; here that is said for good.
	old, err := in.front.grants.Open(in.grant(grant))
	must(t, err)
	in.expire(grant)
	_, err = in.front.tokens.Source.Fresh(t.Context(), grant)
	must(t, err)
	g := in.grant(grant)
	must(t, in.front.grants.Seal(g, old))
	g.ExpiresAt = time.Now().Add(-time.Hour)
	must(t, in.front.grants.Save(t.Context(), g))
	if _, err := in.front.tokens.Source.Fresh(t.Context(), grant); connectors.AsError(err) == nil || connectors.AsError(err).Code != connectors.CodeConnectorOAuthRefreshFailed {
		t.Errorf("a replayed token: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", err)
	}
	if got := connect("?replace=true"); got != grant {
		t.Errorf("reconnected to grant %s, want %s", got, grant)
	}
	if status, problem := in.call(http.MethodDelete, path, nil, nil); status != http.StatusNoContent {
		t.Errorf("disconnect: got %d %v", status, &problem)
	}
}
