package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// mint asks for a token of the client's own: there is nothing to refresh it with, so
// this is also how it is renewed.
func (e endpoint) mint(ctx context.Context, scopes []string) (reply, *failure) {
	o := e.def.Auth.OAuth2
	switch {
	case o.MintToken != nil:
		return e.mintByCode(ctx, scopes)
	case o.Mint != nil:
		return e.signed(ctx, o.Mint.GrantType, o.Mint.AssertionParam, func(r reader) assertionClaims {
			return assertionClaims{audience: r.audience, own: r.request.Claims, scope: o.JoinScopes(scopes), now: e.now()}
		})
	}
	return e.withEachSecret(ctx, func(ctx context.Context, c credential) error {
		config := clientcredentials.Config{ClientID: c.id, ClientSecret: c.plain(), TokenURL: e.url, AuthStyle: e.style()}
		if len(scopes) > 0 {
			config.EndpointParams = url.Values{"scope": {o.JoinScopes(scopes)}}
		}
		_, err := config.Token(ctx)
		return err
	})
}

// signed asks with a JWT that says who the client is: in a parameter, or as the
// request's bearer token.
func (e endpoint) signed(ctx context.Context, grantType, param string, claims func(reader) assertionClaims) (reply, *failure) {
	e.bare = true
	r, err := e.reader()
	if err != nil {
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorConfigInvalid, cause: err}
	}
	said := claims(r)
	return e.withEachSecret(ctx, func(ctx context.Context, c credential) error {
		jwt, err := c.sign(said)
		if err != nil {
			return err
		}
		form := url.Values{}
		if grantType != "" {
			form.Set("grant_type", grantType)
		}
		if param != "" {
			form.Set(param, jwt)
		}
		if said.scope != "" && !c.claimsScope() {
			form.Set("scope", said.scope)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if param == "" {
			req.Header.Set("Authorization", "Bearer "+jwt)
		}
		resp, err := clientOf(ctx).Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

// mintByCode has the connector ask.
func (e endpoint) mintByCode(ctx context.Context, scopes []string) (reply, *failure) {
	got, failed := e.byCode(ctx, func(ctx context.Context, client *http.Client, clientSecret secret.Text) (json.RawMessage, error) {
		return e.def.Auth.OAuth2.MintToken(ctx, &connectors.MintRequest{
			HTTP: client, URL: e.url, ClientID: e.app.ClientID, ClientSecret: clientSecret, Scopes: scopes, Config: e.config,
		})
	})
	if failed != nil {
		failed.lost = false // what was not given was not spent
	}
	return got, failed
}

// byCode has the connector ask for tokens, with the client's first secret. Its errors
// say by [connectors.Permanent] that trying again does not help; no answer and no
// error says so too.
func (e endpoint) byCode(ctx context.Context, ask func(context.Context, *http.Client, secret.Text) (json.RawMessage, error)) (reply, *failure) {
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	if e.before != nil {
		if err := e.before(); err != nil {
			return reply{}, e.unanswered(err)
		}
	}
	clientSecret := secretsOf(e.app)[0]
	if own, err := e.def.ClientCertificate(e.config); err == nil {
		if c, err := newCredential(e.def.Auth.OAuth2, e.app.ClientID, clientSecret, own); err == nil {
			ctx = c.presenting(ctx)
		}
	}
	client := &http.Client{Transport: e.http.Transport, CheckRedirect: e.http.CheckRedirect, Timeout: e.limit}
	doc, err := guarded(func() (json.RawMessage, error) { return ask(ctx, client, clientSecret) })
	switch {
	case err != nil && connectors.IsPermanent(err):
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorOAuthTokenFailed, cause: err}
	case err != nil:
		return reply{}, &failure{verdict: transient, code: connectors.CodeConnectorOAuthTokenFailed, lost: true, cause: err}
	case doc == nil:
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorOAuthTokenFailed}
	}
	return parseReply(&connectors.OAuth2{}, http.StatusOK, nil, doc, e.now())
}
