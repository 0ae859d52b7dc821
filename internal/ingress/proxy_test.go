package ingress_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

// provider is a site with a connector whose API answers with its request.
func provider(t *testing.T, base string) *site {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "theirs=1")
		w.Header().Set("X-Theirs", "kept")
		w.Header().Set("X-Request-Id", "theirs")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		switch r.URL.Path {
		case base + "/moved":
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
			return
		case base + "/missing":
			w.WriteHeader(http.StatusNotFound)
		case base + "/large":
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 2<<20)), 2<<20))
			return
		case base + "/cut":
			w.Header().Set("Content-Length", "100")
		}
		fmt.Fprintf(w, "%s %s auth=%q cookie=%q key=%q type=%q forwarded=%q token=%q %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Cookie"),
			r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Hawser-Account"), body)
	}))
	t.Cleanup(api.Close)
	s := serve(t, testenv.Probe("probe", api.URL+base))
	s.connect(t, "probe")
	return s
}

func TestTheProxyCallsTheProviderWithTheConnectionsAuth(t *testing.T) {
	t.Parallel()
	s := provider(t, "/v1")
	proxy := ofAva + "/probe/proxy/"
	const auth = ` auth="Bearer key-of-ava" cookie="" `
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "users/7?b=2&a=1", "", 200, `GET /v1/users/7?b=2&a=1` + auth + `key="k" type="text/x" forwarded="" token="" `},
		{"POST", "messages", `{"a":1}`, 200, `POST /v1/messages` + auth},
		{"PATCH", "a%2Fb/c%20d", `body`, 200, `PATCH /v1/a%2Fb/c%20d` + auth},
		{"DELETE", "x/", "", 200, `DELETE /v1/x/` + auth},
		{"OPTIONS", "x", "", 200, `OPTIONS /v1/x` + auth},
		{"GET", "missing", "", 404, `GET /v1/missing` + auth},
		{"GET", "moved", "", 302, ""},
		{"GET", "large", "", 200, "xxx"},
	} {
		r := s.do(t, c.method, proxy+c.path, c.body, "Cookie", "ours=1", "X-Forwarded-For", "1.2.3.4", "Idempotency-Key", "k", "Content-Type", "text/x")
		if r.status != c.status || !strings.HasPrefix(r.body, c.want) || !strings.HasSuffix(r.body, c.body) {
			t.Errorf("%s %s: %d %.200s, want %d %s", c.method, c.path, r.status, r.body, c.status, c.want)
		}
		if h := r.header; h.Get("Hawser-Provider-Status") != fmt.Sprint(c.status) || h.Get("X-Theirs") != "kept" || h.Get("X-Request-Id") != "theirs" || h.Get("Set-Cookie") != "" || h.Get("X-Hop") != "" {
			t.Errorf("%s %s: headers %v", c.method, c.path, h)
		}
		if strings.Contains(r.body, s.Token.Reveal()) {
			t.Errorf("%s %s: the provider got our token", c.method, c.path)
		}
	}
	if r := s.do(t, "HEAD", proxy+"x", ""); r.status != 200 || r.header.Get("X-Theirs") != "kept" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
}

func TestTheProxySelectsTheAccount(t *testing.T) {
	t.Parallel()
	s := provider(t, "")
	if r := s.do(t, "PUT", ofAva+"/probe?account=second", `{"config":{"apiKey":"another-key"}}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", ofAva+"/probe/proxy/x?a=1&account=second&b=2", ""); !strings.HasPrefix(r.body, `GET /x?a=1&b=2 auth="Bearer another-key"`) {
		t.Errorf("by the query: %s", r.body)
	}
	if r := s.do(t, "GET", ofAva+"/probe/proxy/x?account=theirs", "", "Hawser-Account", "second"); !strings.HasPrefix(r.body, `GET /x?account=theirs auth="Bearer another-key"`) {
		t.Errorf("by the header: %s", r.body)
	}
}

func TestTheProxyRefusesWhatItCannotSend(t *testing.T) {
	t.Parallel()
	s := provider(t, "/v1")
	for path, want := range map[string]string{
		ofAva + "/ghost/proxy/x":                            "404 CONNECTOR_NOT_FOUND",
		ofBob + "/probe/proxy/x":                            "404 CONNECTOR_NOT_CONNECTED",
		ofAva + "/probe/proxy/x?account=third":              "404 CONNECTOR_NOT_CONNECTED",
		ofAva + "/probe/proxy/%2e%2e/admin":                 "400 REQUEST_INVALID",
		ofAva + "/probe/proxy/a%2F..%2F..%2Fadmin":          "400 REQUEST_INVALID",
		ofAva + "/probe/proxy/a%5C..%5Cadmin":               "400 REQUEST_INVALID",
		"/api/v1/scopes/galaxy/a/connections/probe/proxy/x": "400 CONNECTOR_SCOPE_INVALID",
	} {
		if r := s.do(t, "GET", path, ""); fmt.Sprint(r.status, " ", r.code()) != want || r.header.Get("Hawser-Provider-Status") != "" {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.body, want)
		}
	}
	if r := s.do(t, "GET", ofAva+"/probe/proxy/x", "", "Authorization", ""); r.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", r.status)
	}
	if r := s.do(t, "POST", ofAva+"/probe/proxy/x", strings.Repeat("x", 1<<20+1)); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d %s", r.status, r.body)
	}
	s.do(t, "POST", ofAva+"/probe/toggle", "")
	if r := s.do(t, "GET", ofAva+"/probe/proxy/x", ""); r.status != http.StatusConflict || r.code() != "CONNECTOR_DISABLED" {
		t.Errorf("disabled: %d %s", r.status, r.body)
	}
}

func TestTheProxyAnswers502WithoutAProvider(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	s := serve(t, testenv.Probe("probe", away.URL))
	s.connect(t, "probe")
	r := s.do(t, "GET", ofAva+"/probe/proxy/x", "")
	if r.status != http.StatusBadGateway || r.code() != "CONNECTOR_ACTION_FAILED" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if u, _ := url.Parse(away.URL); strings.Contains(r.body, u.Port()) {
		t.Errorf("the answer has the address: %s", r.body)
	}
}

func TestATruncatedProviderResponseIsAborted(t *testing.T) {
	t.Parallel()
	s := provider(t, "")
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+ofAva+"/probe/proxy/cut", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
	if resp, err := s.HTTP.Do(req); err == nil {
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			t.Errorf("got %q without an error", body)
		}
	}
	if len(s.Log.Lines(`"message":"http"`, "/proxy/")) == 0 || len(s.Log.Lines("panicked")) > 0 {
		t.Errorf("the log has no line for the request, or one about a panic: %s", s.Log)
	}
}
