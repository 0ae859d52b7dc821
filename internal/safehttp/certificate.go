package safehttp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"
)

type certificateKey struct{}

// WithCertificate is a context whose requests, made by a client of New, present the
// certificate to servers that ask for one. They share connections with requests that
// present the same, and with no others.
func WithCertificate(ctx context.Context, certificate *tls.Certificate) context.Context {
	return context.WithValue(ctx, certificateKey{}, certificate)
}

// maxCertificates bounds the transports that are kept for certificates.
const maxCertificates = 256

// presenters are transports that differ from base in the certificate that they
// present: a connection is made with one, and can serve no other.
type presenters struct {
	base *http.Transport
	all  *lru.Cache[[sha256.Size]byte, *http.Transport] // hash of the chain → transport
}

func newPresenters(base *http.Transport) *presenters {
	all, err := lru.NewWithEvict(maxCertificates, func(_ [sha256.Size]byte, t *http.Transport) { t.CloseIdleConnections() })
	if err != nil {
		panic("safehttp: " + err.Error()) // only a size below one is refused
	}
	return &presenters{base, all}
}

// of is the transport for a request.
func (p *presenters) of(req *http.Request) *http.Transport {
	certificate, _ := req.Context().Value(certificateKey{}).(*tls.Certificate)
	if certificate == nil {
		return p.base
	}
	hash := sha256.New()
	for _, der := range certificate.Certificate {
		sum := sha256.Sum256(der)
		hash.Write(sum[:])
	}
	key := [sha256.Size]byte(hash.Sum(nil))
	if t, ok := p.all.Get(key); ok {
		return t
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
		return first
	}
	return t
}

func (p *presenters) closeIdle() {
	p.base.CloseIdleConnections()
	for _, t := range p.all.Values() {
		t.CloseIdleConnections()
	}
}
