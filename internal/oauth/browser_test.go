package oauth_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser is an end user's browser: cookies, and no redirect followed unasked.
type browser struct {
	t testing.TB
	*http.Client
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// get returns the status, where it leads, and the body.
func (b *browser) get(to string) (status int, location, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, to, nil)
	must(b.t, err)
	return b.do(req)
}

func (b *browser) post(to string, form url.Values) (status int, location, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	must(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req)
}

func (b *browser) do(req *http.Request) (status int, location, body string) {
	b.t.Helper()
	resp, err := b.Do(req)
	must(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return resp.StatusCode, resp.Header.Get("Location"), string(data)
}
