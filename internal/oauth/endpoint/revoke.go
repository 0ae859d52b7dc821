package endpoint

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// RevocationError is a failed revocation. It holds no text of the provider's.
type RevocationError struct {
	Retry      bool // a later try may succeed
	RetryAfter time.Duration

	status int
}

// Error implements error.
func (*RevocationError) Error() string {
	return "the tokens could not be revoked at the provider; they remain valid until they expire, or until the user removes the access there"
}

// Revoke revokes the refresh token, and with it the access token, or else the access
// token alone (RFC 7009). It does nothing where the server has no revocation endpoint.
func (c Client) Revoke(ctx context.Context, s Server, tokens records.GrantTokens) *RevocationError {
	if s.URLs.Revocation == "" {
		return nil
	}
	form := url.Values{"token": {tokens.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	if tokens.Refresh.IsZero() {
		form = url.Values{"token": {tokens.Access.Reveal()}, "token_type_hint": {"access_token"}}
	}
	values, err := s.Connector.TokenRequest(s.Config)
	if err != nil {
		return &RevocationError{}
	}
	certificate, err := s.Connector.ClientCertificate(s.Config)
	if err != nil {
		return &RevocationError{}
	}
	// The content type and the parameters of token requests are not those of revocations.
	o := &connectors.OAuth2{ParamNames: s.Connector.Auth.OAuth2.ParamNames}
	r, values := tokenRequest{server: s, oauth2: o, url: s.URLs.Revocation, form: form}, connectors.TokenRequest{Claims: values.Claims}
	failed := &RevocationError{}
	for _, text := range s.secrets() {
		cred, err := newCredential(s, text, certificate)
		if err != nil {
			continue
		}
		if failed = c.revoke(ctx, r, cred, values); failed == nil || failed.status != http.StatusUnauthorized {
			break // after a 401 the client's next secret may be accepted
		}
	}
	return failed
}

func (c Client) revoke(ctx context.Context, r tokenRequest, cred credential, values connectors.TokenRequest) *RevocationError {
	ctx, cancel := c.withTimeout(cred.withCertificate(ctx))
	defer cancel()
	req, err := r.build(ctx, cred, values, c.Now())
	if err != nil {
		return &RevocationError{}
	}
	resp, err := c.transport().RoundTrip(req)
	if cred.certificateRefused(err) {
		return &RevocationError{status: http.StatusUnauthorized}
	}
	if err != nil {
		return &RevocationError{Retry: true}
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse)) // for the rate limit only
	switch status, limit := resp.StatusCode, r.server.Connector.RateLimit.ResponseError(resp, body); {
	case status/100 == 2:
		return nil
	case limit.RateLimited, status >= 500, status == http.StatusRequestTimeout:
		return &RevocationError{Retry: true, RetryAfter: limit.RetryAfter, status: status}
	default:
		return &RevocationError{status: status}
	}
}
