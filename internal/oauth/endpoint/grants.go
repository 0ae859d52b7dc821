package endpoint

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Code is an authorization code with what its exchange needs.
type Code struct {
	Code, Verifier secret.Text // the verifier is that of PKCE (RFC 7636); zero: none is sent
	RedirectURI    string
	Scopes         []string // that were requested
}

// ExchangeCode exchanges an authorization code for tokens (RFC 6749 section 4.1.3).
// Errors of all calls are of type [*Error].
func (c Client) ExchangeCode(ctx context.Context, s Server, code Code) (Response, error) {
	o := s.Connector.Auth.OAuth2
	form := url.Values{
		"grant_type": {cmp.Or(o.GrantType, "authorization_code")}, "code": {code.Code.Reveal()}, "redirect_uri": {code.RedirectURI},
	}
	if !code.Verifier.IsZero() {
		form.Set("code_verifier", code.Verifier.Reveal())
	}
	setScope(o, form, connectors.ScopeInCode, code.Scopes)
	return c.request(ctx, tokenRequest{server: s, url: s.URLs.Token, form: form})
}

// setScope adds the scopes to a request that has them by the definition.
func setScope(o *connectors.OAuth2, form url.Values, in string, scopes []string) {
	if slices.Contains(o.ScopeIn, in) && len(scopes) > 0 {
		form.Set("scope", o.JoinScopes(scopes))
	}
}

// Refresh exchanges a refresh token for tokens (RFC 6749 section 6). scopes are those that
// were requested.
func (c Client) Refresh(ctx context.Context, s Server, refreshToken secret.Text, scopes []string) (Response, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken.Reveal()}}
	setScope(s.Connector.Auth.OAuth2, form, connectors.ScopeInRefresh, scopes)
	return c.request(ctx, tokenRequest{server: s, url: s.URLs.Refresh, form: form, renewal: true})
}

// ClientCredentials requests a token for the client itself (RFC 6749 section 4.4). Such
// a token is renewed by the same request.
func (c Client) ClientCredentials(ctx context.Context, s Server, scopes []string) (Response, error) {
	o := s.Connector.Auth.OAuth2
	scope := o.JoinScopes(scopes)
	switch {
	case o.MintToken != nil:
		return c.mintByCode(ctx, s, scopes)
	case o.Mint != nil:
		return c.request(ctx, tokenRequest{server: s, url: s.URLs.Token, form: url.Values{}, assertion: &assertionGrant{
			grantType: o.Mint.GrantType, param: o.Mint.AssertionParam, scope: scope, allClaims: true,
		}})
	}
	form := url.Values{"grant_type": {cmp.Or(o.GrantType, "client_credentials")}}
	if len(scopes) > 0 {
		form.Set("scope", scope)
	}
	return c.request(ctx, tokenRequest{server: s, url: s.URLs.Token, form: form})
}

// ExchangeToken exchanges a token for another (RFC 8693, and what providers did before
// it) as how says, at one of the server's URLs.
func (c Client) ExchangeToken(ctx context.Context, s Server, to string, how *connectors.Exchange, subject secret.Text) (Response, error) {
	params, subjectParam := how.FormParams()
	form := url.Values{subjectParam: {subject.Reveal()}}
	for name, value := range params {
		form.Set(name, value)
	}
	o := *s.Connector.Auth.OAuth2
	if how.TokenFields != nil {
		o.TokenFields = how.TokenFields
	}
	if len(how.Omit) > 0 {
		o.TokenBody = connectors.TokenBodyForm
	}
	if how.Method == http.MethodGet {
		o.TokenBody = connectors.TokenBodyQuery
	}
	return c.request(ctx, tokenRequest{server: s, oauth2: &o, url: to, form: form, method: how.Method, omit: how.Omit})
}

// CanRepair reports whether the server can issue new tokens after a rotation whose
// response was lost.
func (s Server) CanRepair() bool {
	o := s.Connector.Auth.OAuth2
	return o.Repair != nil || o.RepairToken != nil
}

// Repair requests new tokens after a refresh whose response may have been lost. The
// error's kind is Rejected where there is no repair for this grant.
func (c Client) Repair(ctx context.Context, s Server, lost secret.Text) (Response, error) {
	o := s.Connector.Auth.OAuth2
	var got Response
	var err error
	if o.RepairToken != nil {
		got, err = c.repairByCode(ctx, s, lost)
	} else {
		got, err = c.request(ctx, tokenRequest{server: s, url: s.URLs.Refresh, form: url.Values{}, assertion: &assertionGrant{
			grantType: o.Repair.GrantType, param: o.Repair.AssertionParam,
		}})
	}
	got.Repaired = true
	return got, err
}
