package connectors

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/pkg/secret"
)

// NewTransport returns a transport that adds the runtime's headers and query
// parameters to requests for the scheme, host and port of its base URL, and sends
// all others through base as they are: a redirect to another host, or from https
// to http, does not get the credentials. A runtime without a base URL adds
// nothing. What it adds replaces headers and parameters of the request with that name.
//
// The credentials are never part of the request that the caller sees, before or
// after, so no error or log of the caller can hold them. base nil means
// http.DefaultTransport. Safe for concurrent use.
func NewTransport(base http.RoundTripper, rt Runtime) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{base: base, origin: rt.origin(), headers: rt.Headers, query: rt.Query}
}

// SameOrigin reports whether [NewTransport] adds the runtime's credentials to requests for
// u: whether its scheme, host and port are those of BaseURL.
func (r Runtime) SameOrigin(u *url.URL) bool {
	own := r.origin()
	return own != "" && origin(u) == own
}

// origin returns the origin of the base URL; "" if there is none.
func (r Runtime) origin() string {
	u, err := url.Parse(r.BaseURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return origin(u)
}

type transport struct {
	base    http.RoundTripper
	origin  string // "" matches no request
	headers map[string]secret.Text
	query   map[string]secret.Text
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.origin == "" || origin(r.URL) != t.origin || len(t.headers)+len(t.query) == 0 {
		return t.base.RoundTrip(r)
	}
	authenticated := r.Clone(r.Context())
	for name, value := range t.headers {
		authenticated.Header.Set(name, value.Reveal())
	}
	if len(t.query) > 0 {
		authenticated.URL.RawQuery = t.addTo(r.URL.RawQuery)
	}
	response, err := t.base.RoundTrip(authenticated)
	if response != nil {
		response.Request = r
	}
	return response, err
}

// addTo returns the query with the credentials. The order and encoding of the request's
// parameters stay the same.
func (t *transport) addTo(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(name)
		if _, ours := t.query[decoded]; pair != "" && (err != nil || !ours) {
			kept = append(kept, pair)
		}
	}
	ours := url.Values{}
	for name, value := range t.query {
		ours.Set(name, value.Reveal())
	}
	return strings.Join(append(kept, ours.Encode()), "&")
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// origin returns scheme, host and port in their normal form; "" for other schemes.
func origin(u *url.URL) string {
	port := u.Port()
	switch scheme := strings.ToLower(u.Scheme); scheme {
	case "http", "https":
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[scheme]
		}
		return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
	}
	return ""
}
