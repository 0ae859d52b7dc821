package safehttp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
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

// Who shows a certificate never uses a connection that was made with another, or with
// none, and who shows none uses none of theirs.
func TestACertificateIsShownByItsOwnRequestsOnly(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) > 0 {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
		}
	}))
	server.EnableHTTP2, server.TLS = true, &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	opts := allowLoopback()
	opts.Roots = x509.NewCertPool()
	opts.Roots.AddCert(server.Certificate())
	client := safehttp.New(opts)
	t.Cleanup(client.CloseIdleConnections)
	seven, eight := certificate(t, 7), certificate(t, 8)
	for range 3 {
		for want, shown := range map[string]*tls.Certificate{"": nil, "7": seven, "8": eight} {
			ctx := t.Context()
			if shown != nil {
				ctx = safehttp.WithCertificate(ctx, shown)
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(got) != want || err != nil {
				t.Errorf("the server saw %q, %v; want %q", got, err, want)
			}
		}
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
