package demo

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	keyPrefix     = "demo_"
	revokedPrefix = "demo_revoked"
	maxKey        = 200
)

// caller is who sent a request to the REST API.
type caller struct {
	account  string // what counters and idempotency keys belong to
	id, name string
	email    string
	login    string   // of the user, if there is one
	scopes   []string // nil for API keys, which may do everything
}

func (c caller) may(scope string) bool {
	return c.scopes == nil || slices.Contains(c.scopes, scope)
}

// authenticator identifies callers by their bearer credential: an API key, which begins with
// demo_ (every one is an account, but demo_revoked… is refused), or an access token.
type authenticator struct {
	store *store
	now   func() time.Time
}

// authenticate returns the caller, or a refusal with status 401.
func (g *authenticator) authenticate(r *http.Request) (caller, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return caller{}, unauthorized("", "send Authorization: Bearer with an API key or an access token")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return caller{}, unauthorized("", "send Authorization: Bearer with an API key or an access token")
	}
	if strings.HasPrefix(token, keyPrefix) {
		return keyCaller(token)
	}
	return g.tokenCaller(token)
}

// requireScope is authenticate for callers with one of the scopes.
func (g *authenticator) requireScope(r *http.Request, scopes ...string) (caller, error) {
	who, err := g.authenticate(r)
	if err != nil {
		return caller{}, err
	}
	if !slices.ContainsFunc(scopes, who.may) {
		e := refuse(http.StatusForbidden, "insufficient_scope", "the token needs the scope "+strings.Join(scopes, " or "))
		e.challenge = `Bearer error="insufficient_scope", scope="` + scopes[0] + `"`
		return caller{}, e
	}
	return who, nil
}

func keyCaller(key string) (caller, error) {
	if len(key) == len(keyPrefix) || len(key) > maxKey || strings.HasPrefix(key, revokedPrefix) || !isToken(key) {
		return caller{}, unauthorized("invalid_token", "the API key is not accepted")
	}
	account := "key_" + fingerprint(key)[:16]
	return caller{account: account, id: account, name: "Demo key", email: account + "@example.com"}, nil
}

func (g *authenticator) tokenCaller(token string) (caller, error) {
	id, _, ok := parseToken(accessPrefix, token)
	var (
		grant grant
		good  accessToken
	)
	if ok {
		g.store.view(func(s *state) { grant = s.Grants[id] })
		good, ok = grant.access(fingerprint(token), g.now())
	}
	if !ok {
		return caller{}, unauthorized("invalid_token", "the access token is unknown, expired or revoked")
	}
	scopes := strings.Fields(good.Scope)
	if u, known := userByLogin(grant.User); known {
		return caller{account: u.Subject, id: u.Subject, name: u.Name, email: u.Email, login: u.Login, scopes: scopes}, nil
	}
	return caller{account: ClientID, id: ClientID, name: clientName, scopes: scopes}, nil
}

func unauthorized(code, message string) *refusal {
	e := refuse(http.StatusUnauthorized, "unauthorized", message)
	e.challenge = `Bearer realm="demo"`
	if code != "" {
		e.challenge += `, error="` + code + `"`
	}
	return e
}

// isToken reports whether s is made of letters, digits and -._~ only.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
	})
}
