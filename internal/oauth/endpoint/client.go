// Package endpoint makes one call of an authorization server: a token request (RFC
// 6749), a revocation (RFC 7009), or a request for the token's user.
//
//	client.go      Client: sends requests within a deadline
//	server.go      Server: whose endpoints, as which OAuth client, with which config
//	grants.go      token requests: code, refresh token, client credentials, exchange, repair
//	code.go        token requests made by a connector's own code
//	request.go     a token request: parameters, content, client authentication
//	response.go    a token response, in every dialect
//	document.go    values in JSON, form-encoded and XML documents
//	xml.go         requests and responses in XML
//	expiry.go      how responses state when a token expires
//	error.go       Error: why a call failed, and whether the server may have acted
//	providererror.go  what an error response means; what is a token, and what an id
//	clientauth.go  client authentication (RFC 6749 section 2.3, RFC 7523)
//	clientkey.go   private keys as client secrets
//	certificate.go client certificates (RFC 8705)
//	revoke.go      token revocation
//	userinfo.go    the user and the sites of an account
//
// Token requests are posted by this package rather than by x/oauth2, because their
// responses come in dialects that the library does not read.
package endpoint

import (
	"context"
	"net/http"
	"time"
)

// maxResponse bounds what an authorization server may answer, in bytes.
const maxResponse = 1 << 20

// Client calls authorization servers. Safe for concurrent use.
type Client struct {
	HTTP    *http.Client  // see internal/safehttp
	Timeout time.Duration // of one call
	Now     func() time.Time
	// SendBefore is the wall-clock time after which no request is sent any more, so that
	// no call outlives the lease that covers it. Zero means no limit.
	SendBefore time.Time
}

// SendingBefore returns a client that sends nothing at or after the given time.
func (c Client) SendingBefore(t time.Time) Client {
	if c.SendBefore.IsZero() || t.Before(c.SendBefore) {
		c.SendBefore = t
	}
	return c
}

// checkTime returns ErrNotSent when it is too late to send a request. A process may
// be suspended at any point for any time, so every request is checked right before it
// is sent. The monotonic clock stands still while a machine sleeps: it is stripped.
func (c Client) checkTime() error {
	if !c.SendBefore.IsZero() && time.Now().Round(0).After(c.SendBefore.Round(0)) {
		return ErrNotSent
	}
	return nil
}

// transport returns the transport below HTTP. Token requests use it directly: it
// follows no redirect, and its errors do not quote the URL, whose query may hold a
// secret.
func (c Client) transport() http.RoundTripper {
	if c.HTTP.Transport == nil {
		return http.DefaultTransport
	}
	return c.HTTP.Transport
}

func (c Client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.Timeout)
}
