package safehttp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/safehttp"
)

func certificate(t *testing.T, serial int64) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// request returns the serial number of the certificate that the server received.
func request(t *testing.T, client *http.Client, url string, shown *tls.Certificate) (string, error) {
	t.Helper()
	ctx := t.Context()
	if shown != nil {
		ctx = safehttp.WithCertificate(ctx, shown)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return string(got), err
}

// newServer returns the URL of a server that responds with the serial number of the
// certificate that it received, and a client that trusts it.
func newServer(t *testing.T) (*http.Client, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
		}
	}))
	server.EnableHTTP2, server.TLS = true, &tls.Config{ClientAuth: tls.RequestClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is meant to refuse clients
	server.StartTLS()
	t.Cleanup(server.Close)
	opts := allowLoopback()
	opts.Roots = x509.NewCertPool()
	opts.Roots.AddCert(server.Certificate())
	client := safehttp.New(opts)
	t.Cleanup(client.CloseIdleConnections)
	return client, server.URL
}

// A request uses only connections that were made with its own certificate, or with none
// if it has none.
func TestACertificateIsPresentedByItsOwnRequestsOnly(t *testing.T) {
	t.Parallel()
	client, url := newServer(t)
	seven, eight := certificate(t, 7), certificate(t, 8)
	for range 3 {
		for want, shown := range map[string]*tls.Certificate{"": nil, "7": seven, "8": eight} {
			if got, err := request(t, client, url, shown); got != want || err != nil {
				t.Errorf("the server received %q, %v; want %q", got, err, want)
			}
		}
	}
}

// A certificate is public: requests with the same certificate and another key share no
// connections.
func TestACertificateWithAnotherKeySharesNoConnection(t *testing.T) {
	t.Parallel()
	client, url := newServer(t)
	seven := certificate(t, 7)
	forged := &tls.Certificate{Certificate: seven.Certificate, PrivateKey: certificate(t, 8).PrivateKey}
	for range 3 {
		if got, err := request(t, client, url, forged); err == nil {
			t.Errorf("without its key the server received %q, want that the handshake fails", got)
		}
		if got, err := request(t, client, url, seven); got != "7" || err != nil {
			t.Errorf("with its key the server received %q, %v; want 7", got, err)
		}
	}
	if got, err := request(t, client, url, &tls.Certificate{Certificate: seven.Certificate}); err == nil {
		t.Errorf("with no key the server received %q, want an error", got)
	}
}

func TestPrivateAddressesAreNotDialledWithACertificateEither(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(safehttp.WithCertificate(t.Context(), certificate(t, 7)), http.MethodGet, "https://169.254.169.254/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := safehttp.New(nil).Do(req); err == nil || !safehttp.Refused(err) {
		if err == nil {
			_ = resp.Body.Close()
		}
		t.Errorf("err = %v, want a refusal", err)
	}
}
