package demo

import (
	"fmt"
	"net/http"
	"slices"
)

// profile answers who the caller is and what it can reach.
type profile struct {
	authenticator *authenticator
	issuer        string
}

// me is GET /api/me.
func (p *profile) me(r *http.Request) (reply, error) {
	who, err := p.authenticator.requireScope(r, "read", "profile")
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": who.id, "name": who.name, "email": who.email}, nil
}

// userinfo is GET /userinfo, for access tokens of users.
func (p *profile) userinfo(r *http.Request) (reply, error) {
	who, err := p.authenticator.authenticate(r)
	if err != nil {
		return nil, err
	}
	if who.login == "" {
		return nil, unauthorized("invalid_token", "this needs an access token of a user")
	}
	return map[string]string{
		"sub": who.id, "name": who.name, "email": who.email, "picture": p.issuer + "/avatars/" + who.login,
	}, nil
}

// resources is GET /resources: the sites that an access token reaches, one
// unless it has the scope "multi".
func (p *profile) resources(r *http.Request) (reply, error) {
	who, err := p.authenticator.authenticate(r)
	if err != nil {
		return nil, err
	}
	if slices.Contains(who.scopes, "multi") {
		return sites, nil
	}
	return sites[:1], nil
}

// avatar is GET /avatars/{login}.
func avatar(w http.ResponseWriter, r *http.Request) {
	u, ok := userByLogin(r.PathValue("login"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">`+
		`<circle cx="4" cy="4" r="4" fill="#0b5cad"/>`+
		`<text x="4" y="5.6" font-size="4.5" text-anchor="middle" fill="#fff">%c</text></svg>`, u.Name[0])
}
