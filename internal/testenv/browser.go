package testenv

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// Browser is an end user's browser: it keeps cookies, and follows no redirect by
// itself.
type Browser struct {
	t testing.TB
	*http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	Must(t, err)
	return &Browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Get returns the status, the Location header, and the body.
func (b *Browser) Get(address string) (status int, location, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	Must(b.t, err)
	return b.Send(req)
}

// Post submits a form.
func (b *Browser) Post(address string, form url.Values) (status int, location, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	Must(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Send(req)
}

// Send sends a request; results as of Get.
func (b *Browser) Send(req *http.Request) (status int, location, body string) {
	b.t.Helper()
	resp, err := b.Do(req)
	Must(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	Must(b.t, err)
	return resp.StatusCode, resp.Header.Get("Location"), string(data)
}
