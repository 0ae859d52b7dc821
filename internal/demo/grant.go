package demo

import (
	"slices"
	"strings"
	"time"
)

const (
	codeLife    = 60 * time.Second
	codeMemory  = 10 * time.Minute    // an expired code is answered as such for this long
	deadMemory  = 24 * time.Hour      // replays on a dead grant are counted for this long
	refreshLife = 90 * 24 * time.Hour // since the last use
	liveTokens  = 16                  // access tokens of one grant that are good at once
)

// grant is what a user has allowed, from the consent on:
//
//	offered ──code──▶ live ⟲ refresh
//	   │                │ replayed code or refresh token, revocation
//	   └──bad code──▶ dead
//
// A client_credentials grant is live from its start, without a user or a
// refresh token. A grant is a value: its methods return the next one.
type grant struct {
	ID    string `json:"id"` // hex
	User  string `json:"user,omitempty"`
	Scope string `json:"scope"` // space separated

	CodeHash    string    `json:"code_hash,omitempty"`
	CodeExpires time.Time `json:"code_expires,omitzero"`
	RedirectURI string    `json:"redirect_uri,omitempty"`
	Challenge   string    `json:"challenge,omitempty"` // PKCE, S256

	Live        bool          `json:"live,omitempty"`
	FamilyHash  string        `json:"family_hash,omitempty"`
	RefreshHash string        `json:"refresh_hash,omitempty"` // of the current refresh token
	Access      []accessToken `json:"access,omitempty"`       // oldest first
	Used        time.Time     `json:"used"`
	Dead        string        `json:"dead,omitempty"` // why
}

type accessToken struct {
	Hash    string    `json:"hash"`
	Scope   string    `json:"scope"`
	Expires time.Time `json:"expires"`
}

// offer makes the grant of a consent, and its code.
func offer(user, scope, redirectURI, challenge string, now time.Time) (g grant, code string) {
	id := newGrantID()
	code = mintToken(codePrefix, id, nil)
	return grant{
		ID: id, User: user, Scope: scope, RedirectURI: redirectURI, Challenge: challenge,
		CodeHash: fingerprint(code), CodeExpires: now.Add(codeLife), Used: now,
	}, code
}

// issued are the tokens of one answer of the token endpoint.
type issued struct {
	access, refresh, scope string
}

// begin makes an offered grant live.
func (g grant) begin(now time.Time, ttl time.Duration) (grant, issued) {
	family := randomBytes(familyBytes)
	g.Live, g.FamilyHash = true, fingerprint(family)
	return g.rotate(family, g.Scope, now, ttl)
}

// rotate replaces the refresh token and adds an access token of the given
// scope, which must be part of the grant's.
func (g grant) rotate(family []byte, scope string, now time.Time, ttl time.Duration) (grant, issued) {
	g, out := g.withAccess(scope, now, ttl)
	out.refresh = mintToken(refreshPrefix, g.ID, family)
	g.RefreshHash = fingerprint(out.refresh)
	return g, out
}

func (g grant) withAccess(scope string, now time.Time, ttl time.Duration) (grant, issued) {
	token := mintToken(accessPrefix, g.ID, nil)
	g.Access = slices.DeleteFunc(slices.Clone(g.Access), func(a accessToken) bool { return !now.Before(a.Expires) })
	if len(g.Access) >= liveTokens {
		g.Access = g.Access[len(g.Access)-liveTokens+1:]
	}
	g.Access = append(g.Access, accessToken{Hash: fingerprint(token), Scope: scope, Expires: now.Add(ttl)})
	g.Used = now
	return g, issued{access: token, scope: scope}
}

// withoutAccess revokes one access token.
func (g grant) withoutAccess(hash string) grant {
	g.Access = slices.DeleteFunc(slices.Clone(g.Access), func(a accessToken) bool { return a.Hash == hash })
	return g
}

// kill ends the grant and all its tokens. The first reason stays.
func (g grant) kill(why string, now time.Time) grant {
	if g.Dead == "" {
		g.Dead, g.Used = why, now
	}
	g.Access = nil
	return g
}

// access returns the access token with that hash, if it is good now.
func (g grant) access(hash string, now time.Time) (accessToken, bool) {
	for _, a := range g.Access {
		if same(a.Hash, hash) {
			return a, g.Dead == "" && now.Before(a.Expires)
		}
	}
	return accessToken{}, false
}

// ended reports whether nothing can be done with the grant any more.
func (g grant) ended(now time.Time) bool {
	switch {
	case g.Dead != "":
		return now.After(g.Used.Add(deadMemory))
	case !g.Live:
		return now.After(g.CodeExpires.Add(codeMemory))
	case g.RefreshHash == "":
		return !slices.ContainsFunc(g.Access, func(a accessToken) bool { return now.Before(a.Expires) })
	}
	return now.After(g.Used.Add(refreshLife))
}

// scopes that a client may ask for. "multi" makes GET /resources return several sites.
var knownScopes = []string{"read", "write", "profile", "multi"}

const defaultScope = "read"

// parseScope returns scope without repetitions, or false if it has anything
// outside allowed. The empty scope is fallback.
func parseScope(scope, fallback string, allowed []string) (string, bool) {
	var out []string
	for _, s := range strings.Fields(scope) {
		if !slices.Contains(allowed, s) {
			return "", false
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return fallback, true
	}
	return strings.Join(out, " "), true
}
