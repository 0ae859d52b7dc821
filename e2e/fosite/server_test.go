// Package fosite_test connects to an authorization server that is not Hawser's:
// ory/fosite. It is a module of its own, so that Hawser's go.mod lists what the
// product uses.
package fosite_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"

	"github.com/hawser-io/hawser/internal/testenv"
)

// authorizationServer enforces PKCE, rotates refresh tokens, and revokes a token
// family when a refresh token is used twice.
type authorizationServer struct {
	provider  fosite.OAuth2Provider
	store     *storage.MemoryStore
	refreshes atomic.Int64
	refused   atomic.Int64
}

const clientSecret = "a-client-secret"

// newServer returns the server's URL; its one client is "hawser" and may come back
// to callback.
func newServer(t testing.TB) (s *authorizationServer, address string, register func(callback string)) {
	t.Helper()
	config := &fosite.Config{
		GlobalSecret: []byte("thirty-two-bytes-of-test-secret!"), AccessTokenLifespan: time.Hour, RefreshTokenLifespan: 24 * time.Hour,
		EnforcePKCE: true, RefreshTokenScopes: []string{}, SendDebugMessagesToClients: false,
	}
	store := storage.NewMemoryStore()
	s = &authorizationServer{store: store, provider: compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenRevocationFactory, compose.OAuth2PKCEFactory,
		compose.OAuth2ClientCredentialsGrantFactory, compose.RFC7523AssertionGrantFactory)}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/revoke", func(w http.ResponseWriter, r *http.Request) {
		s.provider.WriteRevocationResponse(r.Context(), w, s.provider.NewRevocationRequest(r.Context(), r))
	})
	listening := httptest.NewServer(mux)
	t.Cleanup(listening.Close)
	address = listening.URL
	config.TokenURL, config.GrantTypeJWTBearerCanSkipClientAuth = address+"/token", true
	return s, address, func(callback string) {
		hashed, err := bcrypt.GenerateFromPassword([]byte(clientSecret), bcrypt.MinCost)
		testenv.Must(t, err)
		store.Clients["hawser"] = &fosite.DefaultClient{
			ID: "hawser", Secret: hashed, RedirectURIs: []string{callback}, Scopes: []string{"read", "profile"},
			ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		}
	}
}

func (s *authorizationServer) authorize(w http.ResponseWriter, r *http.Request) {
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

func (s *authorizationServer) token(w http.ResponseWriter, r *http.Request) {
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
