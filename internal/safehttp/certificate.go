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

// WithCertificate is a context whose requests, made by a client of New, present the
// certificate to servers that ask for one. They share connections with requests that
// present the same with the same key, and with no others. The key must be one of
// crypto/rsa, crypto/ecdsa or crypto/ed25519: requests with others fail.
func WithCertificate(ctx context.Context, certificate *tls.Certificate) context.Context {
	return context.WithValue(ctx, certificateKey{}, certificate)
}

// maxCertificates bounds the transports that are kept for certificates.
const maxCertificates = 256

// presenters are transports that differ from base in the certificate that they
// present: a connection is made with one, and can serve no other.
type presenters struct {
	base *http.Transport
	all  *lru.Cache[[sha256.Size]byte, *http.Transport] // see poolKey → transport
}

func newPresenters(base *http.Transport) *presenters {
	all, err := lru.NewWithEvict(maxCertificates, func(_ [sha256.Size]byte, t *http.Transport) { t.CloseIdleConnections() })
	if err != nil {
		panic("safehttp: " + err.Error()) // only a size below one is refused
	}
	return &presenters{base, all}
}

// poolKey names who shows a certificate. A chain is public, so its key is part of the
// name: the connections that were made with it are for those only who have it.
func poolKey(certificate *tls.Certificate) ([sha256.Size]byte, error) {
	private, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return [sha256.Size]byte{}, errors.New("safehttp: the certificate's private key is of no kind that is known here")
	}
	hash := sha256.New()
	for _, der := range append(slices.Clone(certificate.Certificate), private) {
		sum := sha256.Sum256(der)
		hash.Write(sum[:])
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

// of is the transport for a request.
func (p *presenters) of(req *http.Request) (*http.Transport, error) {
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
	// Over HTTP/2 a server that turns the certificate away is seldom heard: its alert is
	// lost behind our own writing, and looks like any broken connection.
	t.Protocols, t.ForceAttemptHTTP2 = new(http.Protocols), false
	t.Protocols.SetHTTP1(true)
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	// Also to a server that names other authorities: it then says so itself.
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	if first, raced, _ := p.all.PeekOrAdd(key, t); raced {
		return first, nil
	}
	return t, nil
}

func (p *presenters) closeIdle() {
	p.base.CloseIdleConnections()
	for _, t := range p.all.Values() {
		t.CloseIdleConnections()
	}
}
