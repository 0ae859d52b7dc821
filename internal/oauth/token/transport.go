package token

import (
	"context"
	"crypto/tls"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Transport returns a transport that adds the grant's token to requests to the host of
// runtime's base URL, and to no others. When the provider answers 401 it sends the
// request once more with a token of a later generation, which it renews if need be. A
// 401 means that nothing was done, so this is safe for requests of every kind whose body
// can be sent again.
func (s *Source) Transport(base http.RoundTripper, def *connectors.Connector, grant string, runtime connectors.Runtime) http.RoundTripper {
	return &transport{source: s, base: base, def: def, grant: grant, runtime: runtime}
}

type transport struct {
	source  *Source
	base    http.RoundTripper
	def     *connectors.Connector
	grant   string
	runtime connectors.Runtime
	bound   atomic.Pointer[tls.Certificate] // read once: that costs more than a request
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	token, err := t.source.Fresh(ctx, t.grant)
	if err == nil {
		ctx, err = t.withCertificate(req)
	}
	var runtime connectors.Runtime
	if err == nil {
		runtime, err = t.source.renewer.servers.withApp(ctx, t.def, t.runtime)
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	with := func(token Token) http.RoundTripper {
		return connectors.NewTransport(t.base, withToken(t.def, runtime, token))
	}
	resp, err := with(token).RoundTrip(req.WithContext(ctx))
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !t.runtime.SameOrigin(req.URL) {
		return resp, err
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return resp, nil // it cannot be sent again
	}
	newer, err := t.source.Renew(ctx, t.grant, token.Generation)
	if err != nil {
		return resp, nil // the provider's 401 is the better answer
	}
	again, ok := replay(ctx, req)
	if !ok {
		return resp, nil
	}
	_ = resp.Body.Close()
	return with(newer).RoundTrip(again)
}

// withCertificate returns the request's context with the certificate that the grant's
// tokens are bound to.
func (t *transport) withCertificate(req *http.Request) (context.Context, error) {
	ctx := req.Context()
	if !t.def.Auth.OAuth2.MTLS || !t.runtime.SameOrigin(req.URL) {
		return ctx, nil
	}
	certificate := t.bound.Load()
	if certificate == nil {
		// Concurrent requests read it each: none waits for another's store.
		g, err := t.source.grants.Get(ctx, t.grant)
		if err != nil {
			return nil, grantError(err)
		}
		if certificate, err = t.source.renewer.servers.boundCertificate(ctx, g); err != nil {
			return nil, err
		}
		t.bound.Store(certificate)
	}
	return safehttp.WithCertificate(ctx, certificate), nil
}

// withToken returns a runtime that carries the token: in a header, or in the query where the
// definition says so.
func withToken(def *connectors.Connector, runtime connectors.Runtime, token Token) connectors.Runtime {
	if parameter := def.Auth.OAuth2.TokenQuery; parameter != "" {
		query := map[string]secret.Text{}
		maps.Copy(query, runtime.Query)
		query[parameter] = token.Access
		return connectors.Runtime{BaseURL: runtime.BaseURL, Headers: runtime.Headers, Query: query}
	}
	header, prefix := def.Auth.OAuth2.AuthorizationHeader()
	headers := map[string]secret.Text{header: secret.New(prefix + token.Access.Reveal())}
	for name, value := range runtime.Headers {
		if !strings.EqualFold(name, header) {
			headers[name] = value
		}
	}
	return connectors.Runtime{BaseURL: runtime.BaseURL, Headers: headers, Query: runtime.Query}
}

// replay returns the request once more; ok is false if its body cannot be sent again.
func replay(ctx context.Context, req *http.Request) (again *http.Request, ok bool) {
	again = req.Clone(ctx)
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err == nil
}

// CloseIdleConnections closes those of base, for http.Client.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
