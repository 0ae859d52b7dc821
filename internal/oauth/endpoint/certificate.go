package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"github.com/hawser-io/hawser/internal/safehttp"
)

// errNoCertificate is the error of a client secret with a key, where a certificate is
// needed too.
var errNoCertificate = errors.New("the client secret holds no certificate beside its key")

// errConfigCertificate is the error of a config without the certificate that its client
// needs.
var errConfigCertificate = errors.New("the certificate of the config is no chain with its key: PEM, or a JWK with x5c")

// errCertificateRefused is the error of a certificate that the provider's server refused.
var errCertificateRefused = errors.New("the provider's server does not accept the client's certificate")

// certificate returns what the client presents; nil where neither its authentication
// nor its tokens need one (RFC 8705).
func (c credential) certificate() *tls.Certificate {
	if !c.o.UsesClientCertificate() || len(c.presented.chain) == 0 {
		return nil
	}
	return &tls.Certificate{Certificate: c.presented.chain, PrivateKey: c.presented.key}
}

// withCertificate returns ctx with the client's certificate.
func (c credential) withCertificate(ctx context.Context) context.Context {
	if certificate := c.certificate(); certificate != nil {
		return safehttp.WithCertificate(ctx, certificate)
	}
	return ctx
}

// certificateAlerts are those by which a server refuses a certificate (RFC 8446 section
// 6.2): 40 gives no reason, 116 means that it received none.
var certificateAlerts = []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 116}

// certificateRefused reports whether err means that the server refused the certificate.
// It checks that before it reads the request, so nothing was done. Other alerts may come
// after the request was processed.
func (c credential) certificateRefused(err error) bool {
	alert, ok := errors.AsType[*net.OpError](err)
	return ok && alert.Op == "remote error" && c.o.UsesClientCertificate() &&
		// The type of a received alert is not exported; its text is that of a known alert.
		slices.ContainsFunc(certificateAlerts, func(known tls.AlertError) bool { return known.Error() == alert.Err.Error() })
}

// BoundCertificate returns the certificate that the client's tokens are bound to (RFC
// 8705 section 3): that of the config, or of the first of the client's secrets that has
// one. nil if they are bound to none.
func (s Server) BoundCertificate() *tls.Certificate {
	if !s.Connector.Auth.OAuth2.MTLS {
		return nil
	}
	own, err := s.Connector.ClientCertificate(s.Config)
	if err != nil {
		return nil
	}
	for _, text := range s.secrets() {
		if c, err := newCredential(s, text, own); err == nil {
			return c.certificate()
		}
	}
	return nil
}

// WithBoundCertificate returns ctx with the certificate that the client's tokens are
// bound to.
func (s Server) WithBoundCertificate(ctx context.Context) context.Context {
	if certificate := s.BoundCertificate(); certificate != nil {
		return safehttp.WithCertificate(ctx, certificate)
	}
	return ctx
}

// ErrorNoCertificate returns the error of a server whose tokens are bound to a
// certificate that the client does not have.
func ErrorNoCertificate() *Error { return invalidClient(errNoCertificate) }
