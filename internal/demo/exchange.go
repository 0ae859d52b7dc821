package demo

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// tokenReply is the answer of POST /token.
type tokenReply struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

// exchange is POST /token.
func (a *authorization) exchange(w http.ResponseWriter, r *http.Request) {
	form, e := a.clientForm(r)
	if e != nil {
		a.writeError(w, r, e)
		return
	}
	var settle func(*state, url.Values, time.Time) (issued, *oauthError)
	switch form.Get("grant_type") {
	case "authorization_code":
		settle = a.redeem
	case "refresh_token":
		settle = a.refresh
	case "client_credentials":
		settle = a.asClient
	case "":
		a.writeError(w, r, badRequest("grant_type is missing"))
		return
	default:
		a.writeError(w, r, &oauthError{http.StatusBadRequest, "unsupported_grant_type", ""})
		return
	}
	var out issued
	err := a.store.update(func(s *state) { out, e = settle(s, form, a.now()) })
	switch {
	case err != nil:
		a.log.Error().Err(err).Msg("demo: a grant could not be stored")
		a.writeError(w, r, &oauthError{http.StatusInternalServerError, "server_error", "the grant could not be stored"})
	case e != nil:
		a.writeError(w, r, e)
	default:
		writeJSON(w, http.StatusOK, tokenReply{
			AccessToken: out.access, TokenType: "Bearer", ExpiresIn: int64(a.ttl / time.Second),
			RefreshToken: out.refresh, Scope: out.scope,
		})
	}
}

// redeem is the authorization_code grant. A code is good for one attempt; any
// later one kills what the first has made.
func (a *authorization) redeem(s *state, form url.Values, now time.Time) (issued, *oauthError) {
	code := form.Get("code")
	id, _, ok := parseToken(codePrefix, code)
	g, known := s.Grants[id]
	if !ok || !known || !same(fingerprint(code), g.CodeHash) {
		return issued{}, badGrant("the code is not known")
	}
	end := func(why string) (issued, *oauthError) {
		s.Grants[id] = g.kill(why, now)
		return issued{}, badGrant(why)
	}
	switch {
	case g.Live || g.Dead != "":
		return end("the code was used before")
	case !now.Before(g.CodeExpires):
		return end("the code has expired")
	case form.Has("redirect_uri") && form.Get("redirect_uri") != g.RedirectURI:
		return end("redirect_uri is not the one of the authorization request")
	case !verifies(form.Get("code_verifier"), g.Challenge):
		return end("code_verifier does not fit the code_challenge")
	}
	g, out := g.begin(now, a.ttl)
	s.Grants[id] = g
	s.Stats.Exchanges++
	return out, nil
}

// refresh is the refresh_token grant, with rotation. A refresh token that was
// replaced before kills the grant.
func (a *authorization) refresh(s *state, form url.Values, now time.Time) (issued, *oauthError) {
	token := form.Get("refresh_token")
	id, family, ok := parseToken(refreshPrefix, token)
	g, known := s.Grants[id]
	if !ok || !known || !same(fingerprint(family), g.FamilyHash) {
		return issued{}, badGrant("the refresh token is not known")
	}
	if !same(fingerprint(token), g.RefreshHash) {
		s.Grants[id] = g.kill("a refresh token was used twice", now)
		s.Stats.Reuses++
		return issued{}, badGrant("the refresh token was used before: the grant has ended")
	}
	if g.Dead != "" {
		return issued{}, badGrant("the grant has ended: " + g.Dead)
	}
	if !now.Before(g.Used.Add(refreshLife)) {
		return issued{}, badGrant("the refresh token has expired")
	}
	scope, ok := parseScope(form.Get("scope"), g.Scope, strings.Fields(g.Scope))
	if !ok {
		return issued{}, &oauthError{http.StatusBadRequest, "invalid_scope", "the scope is wider than the grant"}
	}
	g, out := g.rotate(family, scope, now, a.ttl)
	s.Grants[id] = g
	s.Stats.Refreshes++
	return out, nil
}

// asClient is the client_credentials grant.
func (a *authorization) asClient(s *state, form url.Values, now time.Time) (issued, *oauthError) {
	scope, ok := parseScope(form.Get("scope"), defaultScope, knownScopes)
	if !ok {
		return issued{}, &oauthError{http.StatusBadRequest, "invalid_scope", "scopes are read, write, profile and multi"}
	}
	if len(s.Grants) >= maxGrants {
		return issued{}, &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", "too many grants"}
	}
	g, out := grant{ID: newGrantID(), Scope: scope, Live: true}.withAccess(scope, now, a.ttl)
	s.Grants[g.ID] = g
	s.Stats.Exchanges++
	return out, nil
}

// clientForm reads a form and authenticates the client, which says who it is
// either in the body or in a basic header.
func (a *authorization) clientForm(r *http.Request) (url.Values, *oauthError) {
	form, e := readForm(r)
	if e != nil {
		return nil, e
	}
	id, secret, inHeader := r.BasicAuth()
	switch {
	case inHeader && form.Has("client_secret"):
		return nil, badRequest("the client authenticates in two ways")
	case inHeader:
		// RFC 6749 section 2.3.1: both are form-encoded inside the header.
		var errID, errSecret error
		id, errID = url.QueryUnescape(id)
		secret, errSecret = url.QueryUnescape(secret)
		if errID != nil || errSecret != nil {
			id = ""
		}
	default:
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	right := same(id, ClientID) && same(secret, ClientSecret)
	if !right || form.Has("client_id") && form.Get("client_id") != id {
		return nil, &oauthError{http.StatusUnauthorized, "invalid_client", "client_id or client_secret is wrong"}
	}
	return form, nil
}

// readForm reads a form body without repeated parameters.
func readForm(r *http.Request) (url.Values, *oauthError) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("send Content-Type: application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("the form cannot be read")
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, badRequest("a parameter is repeated")
		}
	}
	return r.PostForm, nil
}

func (a *authorization) writeError(w http.ResponseWriter, r *http.Request, e *oauthError) {
	if _, _, basic := r.BasicAuth(); basic && e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
	}
	writeJSON(w, e.status, e)
}
