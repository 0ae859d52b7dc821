// Package safehttp makes the HTTP clients with which Hawser calls providers:
// every call has a deadline, every body a bound, no redirect is followed, and no
// address inside a private network is dialled unless the operator allowed it.
//
// The address is checked after name resolution, at the moment of dialling, so a
// name that resolves to something else the second time is caught too.
package safehttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

const (
	defaultTimeout = 60 * time.Second
	maxBody        = 8 << 20
)

// ErrBodyTooLarge is the error of a response body that exceeds the bound.
var ErrBodyTooLarge = errors.New("safehttp: the response is larger than 8 MiB")

// Options of a client.
type Options struct {
	// Allow lists networks that may be dialled although they are not public.
	Allow []netip.Prefix
	// Timeout bounds a whole call, default 60 s. A context may be shorter.
	Timeout time.Duration
	// Roots are the authorities of servers' certificates. Default: those of the system.
	Roots *x509.CertPool
}

// New returns a client for providers. Make one per process, so that its connections are
// shared.
func New(opts *Options) *http.Client {
	if opts == nil {
		opts = &Options{}
	}
	var v4, v6 []netip.Prefix
	for _, p := range opts.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
		if err := guard.Safe(network, address, c); err != nil {
			return &refusedError{err}
		}
		return nil
	}}
	timeout := opts.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return &http.Client{
		Timeout: timeout,
		Transport: boundedTransport{newTransports(&http.Transport{
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          256,
			MaxIdleConnsPerHost:   64,
			MaxConnsPerHost:       256,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: timeout,
			TLSClientConfig:       &tls.Config{RootCAs: opts.Roots, MinVersion: tls.VersionTLS12},
		})},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusedError is the error of an address that may not be dialled.
type refusedError struct{ cause error }

func (e *refusedError) Error() string        { return e.cause.Error() }
func (e *refusedError) Unwrap() error        { return e.cause }
func (e *refusedError) AddressRefused() bool { return true } // for CallFailure of pkg/connectors

// Refused reports whether err means that the address may not be dialled. Trying
// again will not help.
func Refused(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

// ParseNetworks reads networks such as 127.0.0.0/8 or ::1/128.
func ParseNetworks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("network %q: an address and a length are needed, for example 10.0.0.0/8", s)
		}
		out = append(out, p)
	}
	return out, nil
}

// boundedTransport bounds the bodies of responses.
type boundedTransport struct{ transports *transports }

func (b boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := b.transports.forRequest(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{body: resp.Body, left: maxBody}
	return resp, nil
}

// CloseIdleConnections closes those of all transports, for http.Client.
func (b boundedTransport) CloseIdleConnections() { b.transports.closeIdle() }

type boundedBody struct {
	body io.ReadCloser
	left int64
}

func (c *boundedBody) Read(p []byte) (int, error) {
	// One byte more than the bound distinguishes a full body from one too large.
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.body.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, ErrBodyTooLarge
	}
	return n, err
}

func (c *boundedBody) Close() error { return c.body.Close() }
