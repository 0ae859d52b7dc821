package demo_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

func TestAStrangeLibraryGetsAndUsesTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read", "profile")
	if token.TokenType != "Bearer" || token.RefreshToken == "" || token.Extra("scope") != "read profile" || token.ExpiresIn != 3600 {
		t.Errorf("token = type %q, scope %v, expires in %d, refresh token %t", token.TokenType, token.Extra("scope"), token.ExpiresIn, token.RefreshToken != "")
	}
	wantUser := map[string]any{
		"sub": "usr_ava", "name": "Ava Anchor", "email": "ava@example.com", "picture": b.URL() + "/avatars/ava",
	}
	if diff := cmp.Diff(wantUser, wantStatus(t, b.get("/userinfo", token.AccessToken), 200).json(t)); diff != "" {
		t.Errorf("userinfo (-want +got):\n%s", diff)
	}
	if got := wantStatus(t, b.get("/avatars/ava", ""), 200).Header.Get("Content-Type"); got != "image/svg+xml" {
		t.Errorf("avatar is %q", got)
	}
	wantMe := map[string]any{"id": "usr_ava", "name": "Ava Anchor", "email": "ava@example.com"}
	if diff := cmp.Diff(wantMe, wantStatus(t, b.get("/api/me", token.AccessToken), 200).json(t)); diff != "" {
		t.Errorf("me (-want +got):\n%s", diff)
	}

	token.Expiry = time.Now().Add(-time.Hour)
	next, err := b.config().TokenSource(b.context(), token).Token()
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	if next.RefreshToken == token.RefreshToken || next.AccessToken == token.AccessToken {
		t.Error("the refresh did not rotate the tokens")
	}
	b.wantStats(map[string]int{"exchanges": 1, "refreshes": 1})
}

func TestAnAccessTokenExpires(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	b.clock.Advance(time.Hour - time.Second)
	wantStatus(t, b.get("/api/me", token.AccessToken), 200)
	b.clock.Advance(time.Second)
	a := wantStatus(t, b.get("/api/me", token.AccessToken), 401)
	if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	wantStatus(t, b.refresh(token.RefreshToken), 200)
}

func TestAReplayedRefreshTokenKillsTheGrant(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	first := b.authorize("read")
	other := b.authorize("read")
	second := b.refresh(first.RefreshToken).json(t)
	// The replay is found however many rotations lie between.
	third := b.refresh(second["refresh_token"].(string)).json(t)
	wantOAuthError(t, b.refresh(first.RefreshToken), 400, "invalid_grant")
	wantOAuthError(t, b.refresh(third["refresh_token"].(string)), 400, "invalid_grant")
	wantStatus(t, b.get("/api/me", third["access_token"].(string)), 401)
	b.wantStats(map[string]int{"exchanges": 2, "refreshes": 2, "reuses": 1})
	wantStatus(t, b.get("/api/me", other.AccessToken), 200)
}

func TestAForgedRefreshTokenKillsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	other := b.authorize("read")
	mine, errMine := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.RefreshToken, "drt_"))
	theirs, errTheirs := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(other.RefreshToken, "drt_"))
	if err := errors.Join(errMine, errTheirs); err != nil {
		t.Fatal(err)
	}
	const grantID = 16 // bytes
	forged := append(slices.Clone(mine[:grantID]), theirs[grantID:]...)
	wantOAuthError(t, b.refresh("drt_"+base64.RawURLEncoding.EncodeToString(forged)), 400, "invalid_grant")
	b.wantStats(map[string]int{"exchanges": 2})
	wantStatus(t, b.refresh(token.RefreshToken), 200)
	wantStatus(t, b.refresh(other.RefreshToken), 200)
}

func TestOfConcurrentRefreshesExactlyOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	statuses := make([]int, 16)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			form := asClient("grant_type", "refresh_token", "refresh_token", token.RefreshToken).Encode()
			a, err := b.try(b.request("POST", "/token", form, "Content-Type", "application/x-www-form-urlencoded"))
			if err != nil {
				t.Error(err)
			}
			statuses[i] = a.Status
		})
	}
	all.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if diff := cmp.Diff(map[int]int{200: 1, 400: 15}, count); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	b.wantStats(map[string]int{"exchanges": 1, "refreshes": 1, "reuses": 15})
}

func TestAReplayedCodeKillsItsGrant(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	code, verifier := b.code("read")
	token, err := b.config().Exchange(b.context(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(10 * time.Minute) // long after the code has expired
	_, err = b.config().Exchange(b.context(), code, oauth2.VerifierOption(verifier))
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || e.ErrorCode != "invalid_grant" {
		t.Errorf("replayed code: %v, want invalid_grant", err)
	}
	wantStatus(t, b.get("/api/me", token.AccessToken), 401)
	wantOAuthError(t, b.refresh(token.RefreshToken), 400, "invalid_grant")
	b.wantStats(map[string]int{"exchanges": 1})
}

func TestACodeIsGoodForOneAttemptOfItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, spoil := range map[string]func(url.Values){
		"wrong verifier":  func(v url.Values) { v.Set("code_verifier", oauth2.GenerateVerifier()) },
		"no verifier":     func(v url.Values) { v.Del("code_verifier") },
		"other redirect":  func(v url.Values) { v.Set("redirect_uri", "http://127.0.0.1:9/callback") },
		"after a minute":  func(url.Values) { b.clock.Advance(time.Minute) },
		"a wrong code":    func(v url.Values) { v.Set("code", v.Get("code")[:50]+"AAAAAAAA") },
		"a code of never": func(v url.Values) { v.Set("code", "x") },
	} {
		code, verifier := b.code("read")
		v := asClient("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", callback)
		spoil(v)
		a := b.form("/token", v)
		if a.Status != 400 || a.json(t)["error"] != "invalid_grant" {
			t.Errorf("%s: got %d %s, want invalid_grant", name, a.Status, a.Body)
		}
		if v.Get("code") != code {
			continue
		}
		v.Set("code_verifier", verifier)
		v.Set("redirect_uri", callback)
		if a := b.form("/token", v); a.Status != 400 {
			t.Errorf("%s, then right: got %d, want the code to be spent", name, a.Status)
		}
	}
	b.wantStats(map[string]int{})
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read")
	kept := b.refresh(token.RefreshToken).json(t)
	wantStatus(t, b.form("/revoke", asClient("token", token.AccessToken)), 200)
	wantStatus(t, b.get("/api/me", token.AccessToken), 401)
	wantStatus(t, b.get("/api/me", kept["access_token"].(string)), 200)

	wantStatus(t, b.form("/revoke", asClient("token", kept["refresh_token"].(string), "token_type_hint", "access_token")), 200)
	wantStatus(t, b.get("/api/me", kept["access_token"].(string)), 401)
	wantOAuthError(t, b.refresh(kept["refresh_token"].(string)), 400, "invalid_grant")

	for _, unknown := range []string{"x", "drt_", kept["refresh_token"].(string), token.AccessToken} {
		wantStatus(t, b.form("/revoke", asClient("token", unknown)), 200)
	}
	wantOAuthError(t, b.form("/revoke", url.Values{"token": {"x"}}), 401, "invalid_client")
	wantOAuthError(t, b.form("/revoke", asClient()), 400, "invalid_request")
	b.wantStats(map[string]int{"exchanges": 1, "refreshes": 1, "revocations": 2})
}

func TestTheTokenEndpointRefusesBadRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const kind = "application/x-www-form-urlencoded"
	good := asClient("grant_type", "client_credentials").Encode()
	for _, c := range []struct {
		name, body, kind, user, password string
		status                           int
		code                             string
	}{
		{name: "wrong secret", body: asClient("client_secret", "x").Encode(), status: 401, code: "invalid_client"},
		{name: "no client", body: "grant_type=client_credentials", status: 401, code: "invalid_client"},
		{name: "unknown client", body: asClient("client_id", "x").Encode(), status: 401, code: "invalid_client"},
		{name: "wrong header", body: "", user: "demo-client", password: "x", status: 401, code: "invalid_client"},
		{name: "bad escape in header", body: "", user: "demo-client", password: "%zz", status: 401, code: "invalid_client"},
		{name: "two clients", body: "client_id=x", user: "demo-client", password: "demo-secret", status: 401, code: "invalid_client"},
		{name: "two ways", body: good, user: "demo-client", password: "demo-secret", status: 400, code: "invalid_request"},
		{name: "json", body: `{}`, kind: "application/json", status: 400, code: "invalid_request"},
		{name: "bad form", body: "%zz=1", status: 400, code: "invalid_request"},
		{name: "repeated", body: good + "&scope=read&scope=write", status: 400, code: "invalid_request"},
		{name: "no grant type", body: asClient().Encode(), status: 400, code: "invalid_request"},
		{name: "password grant", body: asClient("grant_type", "password").Encode(), status: 400, code: "unsupported_grant_type"},
		{name: "unknown scope", body: asClient("grant_type", "client_credentials", "scope", "root").Encode(), status: 400, code: "invalid_scope"},
		{name: "no code", body: asClient("grant_type", "authorization_code").Encode(), status: 400, code: "invalid_grant"},
		{name: "no refresh token", body: asClient("grant_type", "refresh_token").Encode(), status: 400, code: "invalid_grant"},
	} {
		if c.kind == "" {
			c.kind = kind
		}
		header := []string{"Content-Type", c.kind}
		if c.user != "" {
			req, _ := http.NewRequest("POST", "/", nil)
			req.SetBasicAuth(c.user, c.password)
			header = append(header, "Authorization", req.Header.Get("Authorization"))
		}
		a := b.do("POST", "/token", c.body, header...)
		if a.Status != c.status || a.json(t)["error"] != c.code {
			t.Errorf("%s: got %d %s, want %d %s", c.name, a.Status, a.Body, c.status, c.code)
		}
		if challenged := a.Header.Get("WWW-Authenticate") != ""; challenged != (c.user != "" && c.status == 401) {
			t.Errorf("%s: WWW-Authenticate = %q", c.name, a.Header.Get("WWW-Authenticate"))
		}
	}
	wantStatus(t, b.do("POST", "/token", strings.Repeat("a", 65<<10), "Content-Type", kind), 413)
	wantStatus(t, b.do("GET", "/token", ""), 405)
}

func TestClientCredentialsHaveNoUser(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got := wantStatus(t, b.form("/token", asClient("grant_type", "client_credentials", "scope", "write read")), 200).json(t)
	if _, has := got["refresh_token"]; has || got["scope"] != "write read" {
		t.Errorf("token reply = %v, want scope and no refresh token", got)
	}
	access := got["access_token"].(string)
	if me := wantStatus(t, b.get("/api/me", access), 200).json(t); me["id"] != "demo-client" {
		t.Errorf("me = %v, want the client", me)
	}
	wantStatus(t, b.get("/userinfo", access), 401)
}

func TestScopesAreHonoured(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token := b.authorize("read", "write", "multi")
	narrow := wantStatus(t, b.form("/token", asClient("grant_type", "refresh_token", "refresh_token", token.RefreshToken, "scope", "read")), 200).json(t)
	a := wantStatus(t, b.post("/api/messages", narrow["access_token"].(string), `{"text":"hi"}`), 403)
	if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, "insufficient_scope") {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	next := narrow["refresh_token"].(string)
	wantOAuthError(t, b.form("/token", asClient("grant_type", "refresh_token", "refresh_token", next, "scope", "profile")), 400, "invalid_scope")
	wide := wantStatus(t, b.refresh(next), 200).json(t)
	wantStatus(t, b.post("/api/messages", wide["access_token"].(string), `{"text":"hi"}`), 200)

	sites := func(access string) int {
		return strings.Count(wantStatus(t, b.get("/resources", access), 200).Body, `"id"`)
	}
	if one, three := sites(narrow["access_token"].(string)), sites(wide["access_token"].(string)); one != 1 || three != 3 {
		t.Errorf("sites = %d and %d, want 1 and 3", one, three)
	}
}

func TestMetadataNamesTheEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got := wantStatus(t, b.do("GET", "/.well-known/oauth-authorization-server", ""), 200).json(t)
	if got["issuer"] != b.URL() || got["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("metadata = %v", got)
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "revocation_endpoint", "userinfo_endpoint"} {
		if a := b.do("GET", got[name].(string), ""); a.Status == 404 {
			t.Errorf("%s = %v does not exist", name, got[name])
		}
	}
}
