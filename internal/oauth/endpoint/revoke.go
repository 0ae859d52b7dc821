package endpoint

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Revoke revokes the refresh token, and with it the access token, or else the access
// token alone (RFC 7009). It does nothing where the server has no revocation endpoint.
func (c Client) Revoke(ctx context.Context, s Server, tokens records.GrantTokens) error {
	if s.Connector.Auth.OAuth2.Revocation != nil {
		return c.revokeByRequest(ctx, s, tokens)
	}
	if s.URLs.Revocation == "" {
		return nil
	}
	form := url.Values{"token": {tokens.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	if tokens.Refresh.IsZero() {
		form = url.Values{"token": {tokens.Access.Reveal()}, "token_type_hint": {"access_token"}}
	}
	// The content type and the parameters of token requests are not those of revocations.
	o := &connectors.OAuth2{ParamNames: s.Connector.Auth.OAuth2.ParamNames}
	_, err := c.request(ctx, tokenRequest{server: s, oauth2: o, url: s.URLs.Revocation, form: form, revocation: true})
	return err
}

// revokeByRequest revokes the tokens by the request that the definition describes, with the
// client's secrets in their order.
func (c Client) revokeByRequest(ctx context.Context, s Server, tokens records.GrantTokens) error {
	var last *Error
	for _, clientSecret := range s.secrets() {
		values := connectors.RequestValues{Config: s.Config, Client: s.client(clientSecret), Access: tokens.Access, Refresh: tokens.Refresh}
		if last = c.sendRevocation(ctx, s, values); last == nil {
			return nil
		}
		if last.Kind != InvalidClient {
			break
		}
	}
	return last
}

func (c Client) sendRevocation(ctx context.Context, s Server, values connectors.RequestValues) *Error {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	req, err := s.Connector.RevocationRequest(ctx, values)
	if err != nil {
		return invalidConfig(err)
	}
	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return noResponse(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return noResponse(err)
	}
	failed := parseRevocation(resp.StatusCode)
	if limit := s.Connector.RateLimit.ResponseError(resp, body); failed != nil {
		failed.RetryAfter = limit.RetryAfter
		if limit.RateLimited {
			failed.Kind = Transient
		}
	}
	return failed
}

// parseRevocation reads the response of a revocation, of which only the status counts.
func parseRevocation(status int) *Error {
	e := &Error{Kind: Rejected, Code: connectors.CodeConnectorOAuthTokenFailed, Status: status}
	switch {
	case status/100 == 2:
		return nil
	case status >= 500 || status == http.StatusRequestTimeout:
		e.Kind = Transient
	case status == http.StatusUnauthorized:
		e.Kind = InvalidClient
	}
	return e
}
