package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

// scan requests an address as a link scanner and as a browser that fetches it in advance.
func scan(t testing.TB, b *testenv.Browser, address string) {
	t.Helper()
	for _, by := range [][3]string{
		{http.MethodHead}, {http.MethodGet, "Sec-Purpose", "prefetch"}, {http.MethodGet, "Sec-Purpose", "prefetch;prerender"}, {http.MethodGet, "Purpose", "prefetch"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), by[0], address, nil)
		must(t, err)
		if by[1] != "" {
			req.Header.Set(by[1], by[2])
		}
		resp, err := b.Do(req)
		must(t, err)
		_ = resp.Body.Close()
		if len(resp.Cookies()) != 0 || resp.Header.Get("Location") != "" {
			t.Errorf("%v %s: %d %v", by, address, resp.StatusCode, resp.Header)
		}
	}
}

func TestScannersAndPrefetchesHaveNoEffectOnAFlow(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	made := in.session(map[string]any{"connectors": []string{"demo-oauth"}})
	scan(t, testenv.NewBrowser(t), made.URL)
	testenv.NewBrowser(t).Get(made.URL) // binds nothing either
	b := testenv.NewBrowser(t)
	_, _, body := b.Post(made.URL, url.Values{"connector": {"demo-oauth"}})
	started := linkOf(t, body)
	scan(t, testenv.NewBrowser(t), started)
	callback := in.consent(b, started, approve)
	scan(t, b, callback)
	if got := stats(t, p); got.Exchanges != 0 {
		t.Errorf("provider counted %+v", got)
	}
	for range 2 { // and a reload
		if status, _, body := b.Get(callback); status != http.StatusOK || !strings.Contains(body, "Connected") {
			t.Errorf("got %d %s, want success", status, body)
		}
	}
	if got := stats(t, p); got.Exchanges != 1 {
		t.Errorf("provider counted %+v, want one exchange", got)
	}
	if kinds := in.kinds(); slices.Contains(kinds, "oauth.failed") {
		t.Errorf("events: got %v, want no failure", kinds)
	}
}
