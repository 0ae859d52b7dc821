package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// errNoCertificate is a client secret with a key, where a certificate is needed too.
var errNoCertificate = errors.New("the client secret holds no certificate beside its key")

// errOwnCertificate is a config without the certificate that its client needs.
var errOwnCertificate = errors.New("the certificate of the config is no chain with its key: PEM, or a JWK with x5c")

// errNotTaken is a certificate that the provider's server has turned away.
var errNotTaken = errors.New("the provider's server does not accept the client's certificate")

// certificate is what the client shows; nil where it is not known by one and its
// tokens are bound to none.
func (c credential) certificate() *tls.Certificate {
	if !c.o.UsesClientCertificate() || len(c.shown.chain) == 0 {
		return nil
	}
	return &tls.Certificate{Certificate: c.shown.chain, PrivateKey: c.shown.key}
}

// presenting is ctx, with the certificate.
func (c credential) presenting(ctx context.Context) context.Context {
	if shown := c.certificate(); shown != nil {
		return safehttp.WithCertificate(ctx, shown)
	}
	return ctx
}

// certificateAlerts are those by which a server turns a certificate away (RFC 8446,
// 6.2): 40 is that it gives no reason, 116 that it has seen none.
var certificateAlerts = []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 116}

// turnedAway reports whether err is that the server did not take the certificate. It
// checks that before it reads the request, so nothing was done. Other alerts may come
// when it has been.
func (c credential) turnedAway(err error) bool {
	alert, ok := errors.AsType[*net.OpError](err)
	return ok && alert.Op == "remote error" && c.o.UsesClientCertificate() &&
		// The type of an alert that was received is not exported; its text is that of one that is.
		slices.ContainsFunc(certificateAlerts, func(known tls.AlertError) bool { return known.Error() == alert.Err.Error() })
}

// boundTo is the certificate that the client's tokens are bound to: that of the config,
// or of the first of the client's secrets that has one.
func boundTo(def *connectors.Connector, config []byte, app records.App) *tls.Certificate {
	o := def.Auth.OAuth2
	if !o.MTLS {
		return nil
	}
	own, err := def.ClientCertificate(config)
	if err != nil {
		return nil
	}
	for _, s := range secretsOf(app) {
		if c, err := newCredential(o, app.ClientID, s, own); err == nil {
			return c.certificate()
		}
	}
	return nil
}

// showing is ctx with the certificate that the client's tokens are bound to.
func showing(ctx context.Context, def *connectors.Connector, config []byte, app records.App) context.Context {
	if shown := boundTo(def, config, app); shown != nil {
		return safehttp.WithCertificate(ctx, shown)
	}
	return ctx
}

// showing is the request with the certificate that the grant's tokens are bound to.
func (t *transport) showing(req *http.Request) (*http.Request, error) {
	if !t.def.Auth.OAuth2.MTLS || !t.runtime.SameOrigin(req.URL) {
		return req, nil
	}
	ctx := req.Context()
	certificate := t.bound.Load()
	if certificate == nil {
		// Calls that come at once read it each: none waits for another's store.
		var err error
		if certificate, err = t.tokens.boundCertificate(ctx, t.grant); err != nil {
			return nil, err
		}
		t.bound.Store(certificate)
	}
	return req.WithContext(safehttp.WithCertificate(ctx, certificate)), nil
}

// boundCertificate reads the certificate that a grant's tokens are bound to.
func (t *Tokens) boundCertificate(ctx context.Context, grant string) (*tls.Certificate, error) {
	g, err := t.Grants.Get(ctx, grant)
	if err != nil {
		return nil, missingGrant(err)
	}
	def, config, err := t.definition(ctx, g)
	if err != nil {
		return nil, err
	}
	app, err := t.appOf(ctx, def, config)
	if err != nil {
		return nil, err
	}
	certificate := boundTo(def, config, app)
	if certificate == nil {
		return nil, unusable(errNoCertificate).coded()
	}
	return certificate, nil
}
