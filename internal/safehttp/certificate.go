package safehttp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"
)

type certificateKey struct{}

// WithCertificate returns a context whose requests, made by a client of New, present the
// certificate to servers that request one. They share connections only with requests
// that present the same certificate with the same key. The key must be of crypto/rsa,
// crypto/ecdsa or crypto/ed25519: requests with others fail.
func WithCertificate(ctx context.Context, certificate *tls.Certificate) context.Context {
	return context.WithValue(ctx, certificateKey{}, certificate)
}

// maxCertificates bounds the transports for certificates.
const maxCertificates = 256

// transports has a transport for each client certificate, since a connection is made
// with one certificate and cannot be used with another. base has none.
type transports struct {
	base *http.Transport
	all  *lru.Cache[[sha256.Size]byte, *http.Transport] // see poolKey → transport
}

func newTransports(base *http.Transport) *transports {
	all, err := lru.NewWithEvict(maxCertificates, func(_ [sha256.Size]byte, t *http.Transport) { t.CloseIdleConnections() })
	if err != nil {
		panic("safehttp: " + err.Error()) // only a size below one is refused
	}
	return &transports{base, all}
}

// poolKey returns the key of a certificate's transport. A certificate is public, so the
// private key is part of it: only requests that have the private key use connections
// that were made with it.
func poolKey(certificate *tls.Certificate) ([sha256.Size]byte, error) {
	private, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return [sha256.Size]byte{}, errors.New("safehttp: the certificate's private key must be RSA, ECDSA or Ed25519")
	}
	hash := sha256.New()
	for _, der := range append(slices.Clone(certificate.Certificate), private) {
		sum := sha256.Sum256(der)
		hash.Write(sum[:])
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

// forRequest returns the transport for a request.
func (p *transports) forRequest(req *http.Request) (*http.Transport, error) {
	certificate, _ := req.Context().Value(certificateKey{}).(*tls.Certificate)
	if certificate == nil {
		return p.base, nil
	}
	key, err := poolKey(certificate)
	if err != nil {
		return nil, err
	}
	if t, ok := p.all.Get(key); ok {
		return t, nil
	}
	t := p.base.Clone()
	// Over HTTP/2 the alert of a server that refuses the certificate is usually lost while
	// the client writes, and looks like any broken connection.
	t.Protocols, t.ForceAttemptHTTP2 = new(http.Protocols), false
	t.Protocols.SetHTTP1(true)
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	// The certificate is also sent to a server that names other authorities: its alert says
	// why it is refused.
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	if first, raced, _ := p.all.PeekOrAdd(key, t); raced {
		return first, nil
	}
	return t, nil
}

func (p *transports) closeIdle() {
	p.base.CloseIdleConnections()
	for _, t := range p.all.Values() {
		t.CloseIdleConnections()
	}
}
