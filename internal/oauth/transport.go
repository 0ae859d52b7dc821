package oauth

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Transport returns a transport that carries the grant's token to the host of
// runtime's base URL, and nowhere else. When the provider answers 401 it sends the
// request once more with a newer token: that of a later generation, if somebody has
// renewed it, or else it renews it. A 401 says that nothing was done, so this is
// safe for requests of every kind whose body can be sent again.
func (t *Tokens) Transport(base http.RoundTripper, def *connectors.Connector, grant string, runtime connectors.Runtime) http.RoundTripper {
	return &transport{tokens: t, base: base, def: def, grant: grant, runtime: runtime}
}

type transport struct {
	tokens  *Tokens
	base    http.RoundTripper
	def     *connectors.Connector
	grant   string
	runtime connectors.Runtime
	bound   atomic.Pointer[tls.Certificate] // read once: that costs more than a request
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	token, err := t.tokens.Fresh(ctx, t.grant)
	shown := req
	if err == nil {
		shown, err = t.showing(req)
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	resp, err := t.with(token).RoundTrip(shown)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !t.runtime.SameOrigin(req.URL) {
		return resp, err
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return resp, nil // it cannot be sent again
	}
	newer, err := t.tokens.Renew(ctx, t.grant, token.Generation)
	if err != nil {
		return resp, nil // the provider's 401 is the better answer
	}
	again, ok := replay(shown.Context(), req)
	if !ok {
		return resp, nil
	}
	_ = resp.Body.Close()
	return t.with(newer).RoundTrip(again)
}

// with is the transport that carries one token.
func (t *transport) with(token Token) http.RoundTripper {
	return connectors.NewTransport(t.base, bear(t.def, t.runtime, token))
}

// bear adds the token to a runtime.
func bear(def *connectors.Connector, runtime connectors.Runtime, token Token) connectors.Runtime {
	header, prefix := def.Auth.OAuth2.AuthorizationHeader()
	headers := map[string]secret.Text{header: secret.New(prefix + token.Access.Reveal())}
	for name, value := range runtime.Headers {
		if !strings.EqualFold(name, header) {
			headers[name] = value
		}
	}
	return connectors.Runtime{BaseURL: runtime.BaseURL, Headers: headers, Query: runtime.Query}
}

func replay(ctx context.Context, req *http.Request) (*http.Request, bool) {
	again := req.Clone(ctx)
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err == nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
