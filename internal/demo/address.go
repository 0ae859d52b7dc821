package demo

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

const maxURL = 2048

// reach is the set of URLs that the provider sends browsers and webhooks to:
// everything on loopback, and everything below the configured base URLs.
type reach []*url.URL

// newReach refuses base URLs that are no absolute http(s) URL.
func newReach(baseURLs []string) (reach, error) {
	var r reach
	for _, raw := range baseURLs {
		u, ok := plainURL(raw)
		if !ok || u.RawQuery != "" {
			return nil, fmt.Errorf("demo: base URL %q: want http(s)://host[/path]", raw)
		}
		u.Path = strings.TrimSuffix(u.Path, "/")
		r = append(r, u)
	}
	return r, nil
}

// allows parses raw and reports whether it is within reach.
func (r reach) allows(raw string) (*url.URL, bool) {
	u, ok := plainURL(raw)
	if !ok {
		return nil, false
	}
	if isLoopback(u.Hostname()) {
		return u, true
	}
	for _, base := range r {
		if u.Scheme == base.Scheme && strings.EqualFold(u.Host, base.Host) && below(u.Path, base.Path) {
			return u, true
		}
	}
	return nil, false
}

// plainURL parses an absolute http(s) URL without user info and fragment.
func plainURL(raw string) (*url.URL, bool) {
	if len(raw) > maxURL || strings.ContainsAny(raw, "\\#") {
		return nil, false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, false
	}
	return u, true
}

// below reports whether p is prefix or lies in it, dots resolved.
func below(p, prefix string) bool {
	if p != "" && path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" {
		return false
	}
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

// isLoopback reports whether host, without a port, is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
