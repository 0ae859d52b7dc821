package demo

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

// authorization is the OAuth 2.1 authorization server.
type authorization struct {
	store  *store
	issuer string
	ttl    time.Duration // of access tokens
	now    func() time.Time
	reach  reach // where redirect URIs may lie
	log    zerolog.Logger
}

// oauthError is an error of RFC 6749: a redirect's parameters at /authorize,
// a JSON body elsewhere.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func badGrant(description string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_grant", description}
}

func badRequest(description string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_request", description}
}

// authorizeRequest is what a client asks for at /authorize, checked.
type authorizeRequest struct {
	redirect                *url.URL
	redirectURI             string // as sent: the token request must repeat it
	scope, state, challenge string
}

// parseAuthorize checks an authorization request. An error without a redirect
// in the request may only be shown to the user, not sent to the client.
func (a *authorization) parseAuthorize(rawQuery string) (authorizeRequest, *oauthError) {
	var req authorizeRequest
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return req, badRequest("the query cannot be read")
	}
	if len(q["client_id"]) != 1 || q.Get("client_id") != ClientID {
		return req, badRequest("client_id is not known")
	}
	redirect, ok := a.reach.allows(q.Get("redirect_uri"))
	if !ok || len(q["redirect_uri"]) != 1 {
		return req, badRequest("redirect_uri is not registered")
	}
	req.redirect, req.redirectURI, req.state = redirect, q.Get("redirect_uri"), q.Get("state")
	for _, values := range q {
		if len(values) > 1 {
			return req, badRequest("a parameter is repeated")
		}
	}
	if kind := q.Get("response_type"); kind != "code" {
		return req, &oauthError{http.StatusBadRequest, "unsupported_response_type", "response_type must be code"}
	}
	req.challenge = q.Get("code_challenge")
	sum, err := base64.RawURLEncoding.Strict().DecodeString(req.challenge)
	if q.Get("code_challenge_method") != "S256" || err != nil || len(sum) != 32 || len(req.challenge) != 43 {
		return req, badRequest("PKCE is required: send code_challenge with code_challenge_method=S256")
	}
	req.scope, ok = parseScope(q.Get("scope"), defaultScope, knownScopes)
	if !ok {
		return req, &oauthError{http.StatusBadRequest, "invalid_scope", "scopes are read, write, profile and multi"}
	}
	return req, nil
}

// answer sends the browser back to the client with params.
func (a *authorization) answer(w http.ResponseWriter, r *http.Request, req authorizeRequest, params url.Values) {
	if req.state != "" {
		params.Set("state", req.state)
	}
	params.Set("iss", a.issuer)
	to := *req.redirect
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += params.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// fail shows the error, or sends it to the client if that can be trusted.
func (a *authorization) fail(w http.ResponseWriter, r *http.Request, req authorizeRequest, e *oauthError) {
	if req.redirect == nil {
		showError(w, e)
		return
	}
	a.answer(w, r, req, url.Values{"error": {e.Code}, "error_description": {e.Description}})
}

// showConsent is GET /authorize.
func (a *authorization) showConsent(w http.ResponseWriter, r *http.Request) {
	req, e := a.parseAuthorize(r.URL.RawQuery)
	if e != nil {
		a.fail(w, r, req, e)
		return
	}
	showConsent(w, req)
}

// decide is POST /authorize: the consent page's form, with the query of the
// page. decision is approve or deny, user a login (the first user if absent).
func (a *authorization) decide(w http.ResponseWriter, r *http.Request) {
	req, e := a.parseAuthorize(r.URL.RawQuery)
	if e != nil {
		a.fail(w, r, req, e)
		return
	}
	form, e := readForm(r)
	if e != nil {
		showError(w, e)
		return
	}
	who, known := users[0], true
	if login := form.Get("user"); login != "" {
		who, known = userByLogin(login)
	}
	switch decision := form.Get("decision"); {
	case decision == "deny":
		a.fail(w, r, req, &oauthError{http.StatusForbidden, "access_denied", "the user said no"})
	case decision != "approve" || !known:
		showError(w, badRequest("the form needs decision=approve or deny, and a known user"))
	default:
		a.approve(w, r, req, who)
	}
}

func (a *authorization) approve(w http.ResponseWriter, r *http.Request, req authorizeRequest, who user) {
	now := a.now()
	g, code := offer(who.Login, req.scope, req.redirectURI, req.challenge, now)
	full := false
	err := a.store.update(func(s *state) {
		if full = len(s.Grants) >= maxGrants; !full {
			s.Grants[g.ID] = g
		}
	})
	switch {
	case err != nil:
		a.log.Error().Err(err).Msg("demo: an approval could not be stored")
		a.fail(w, r, req, &oauthError{http.StatusInternalServerError, "server_error", "the approval could not be stored"})
	case full:
		a.fail(w, r, req, &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", "too many grants"})
	default:
		a.answer(w, r, req, url.Values{"code": {code}})
	}
}
