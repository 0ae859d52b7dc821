package demo

import (
	"net/http"
)

// revoke is POST /revoke (RFC 7009). A refresh token, also a replaced one,
// ends its whole grant; an access token ends alone.
func (a *authorization) revoke(w http.ResponseWriter, r *http.Request) {
	form, e := a.clientForm(r)
	if e == nil && form.Get("token") == "" {
		e = badRequest("token is missing")
	}
	if e != nil {
		a.writeError(w, r, e)
		return
	}
	err := a.store.update(func(s *state) { a.revokeToken(s, form.Get("token")) })
	if err != nil {
		a.log.Error().Err(err).Msg("demo: a revocation could not be stored")
		a.writeError(w, r, &oauthError{http.StatusServiceUnavailable, "server_error", "the revocation could not be stored"})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK) // for unknown tokens too, says section 2.2
}

func (a *authorization) revokeToken(s *state, token string) {
	now := a.now()
	if id, family, ok := parseToken(refreshPrefix, token); ok {
		g, known := s.Grants[id]
		if !known || g.Dead != "" || !same(fingerprint(family), g.FamilyHash) {
			return
		}
		s.Grants[id] = g.kill("it was revoked", now)
	} else if id, _, ok := parseToken(accessPrefix, token); ok {
		g := s.Grants[id]
		if _, good := g.access(fingerprint(token), now); !good {
			return
		}
		s.Grants[id] = g.withoutAccess(fingerprint(token))
	} else {
		return
	}
	s.Stats.Revocations++
}

// metadata is GET /.well-known/oauth-authorization-server (RFC 8414).
func (a *authorization) metadata(w http.ResponseWriter, _ *http.Request) {
	ways := []string{"client_secret_basic", "client_secret_post"}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         a.issuer,
		"authorization_endpoint":                         a.issuer + "/authorize",
		"token_endpoint":                                 a.issuer + "/token",
		"revocation_endpoint":                            a.issuer + "/revoke",
		"userinfo_endpoint":                              a.issuer + "/userinfo",
		"scopes_supported":                               knownScopes,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          ways,
		"revocation_endpoint_auth_methods_supported":     ways,
		"authorization_response_iss_parameter_supported": true,
	})
}
