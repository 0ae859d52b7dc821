package e2e_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const onDemoOAuth = "/scopes/organization/acme/connections/demo-oauth"

// setApp is `hawser app set demo-oauth`, with the secrets on standard input.
func (h *hawser) setApp(secrets string, args ...string) (out string, err error) {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "hawser"), append([]string{"app", "set", "demo-oauth", "--client-secret-file", "-", "--url", h.http, "--data", h.data}, args...)...)
	cmd.Stdin = strings.NewReader(secrets)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// mustSetApp is setApp that has to succeed, and to show no secret.
func (h *hawser) mustSetApp(secrets string, args ...string) {
	h.t.Helper()
	out, err := h.setApp(secrets, args...)
	if err != nil || !strings.HasPrefix(out, "app of demo-oauth is set: ") {
		h.t.Fatalf("hawser app set %v: %v\n%s", args, err, out)
	}
	for _, s := range strings.Fields(secrets) {
		if strings.Contains(out, s) {
			h.t.Errorf("hawser app set shows a secret:\n%s", out)
		}
	}
}

// browser is an end user's: cookies, and no redirect followed unasked.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visit gets a page, or posts a form to it.
func visit(t *testing.T, b *http.Client, to string, form url.Values) (status int, location, body string) {
	t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = b.Get(to)
	} else {
		resp, err = b.PostForm(to, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(data)
}

// authorize starts a flow and returns where the browser is sent.
func (h *hawser) authorize(b *http.Client) (provider string) {
	h.t.Helper()
	a := h.api("PUT", onDemoOAuth+"?replace=true", `{}`)
	if a.status != http.StatusOK {
		h.t.Fatalf("start: %d %s", a.status, a.body)
	}
	var started struct {
		URL string `json:"authorization_url"`
	}
	a.decode(h.t, &started)
	status, location, body := visit(h.t, b, started.URL, nil)
	if status != http.StatusSeeOther {
		h.t.Fatalf("open: %d %s", status, body)
	}
	return location
}

// The OAuth client of a connector is changed while everything runs: what begins after
// the command has returned uses it.
func TestAnAppIsSetWhileEverythingRuns(t *testing.T) {
	t.Parallel()
	h := up(t)
	asked := func(name string) string {
		u, err := url.Parse(h.authorize(browser(t)))
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get(name)
	}
	if got := asked("client_id"); got != "demo-client" {
		t.Fatalf("before: the provider is asked as %q, want the demo's client", got)
	}
	h.mustSetApp("canary-app-secret\n", "--client-id", "another-client", "--scope", "read", "--param", "prompt=consent")
	for name, want := range map[string]string{"client_id": "another-client", "scope": "read", "prompt": "consent"} {
		if got := asked(name); got != want {
			t.Errorf("after: %s is %q, want %q", name, got, want)
		}
	}

	// A secret that the provider does not know yet, before the one that it knows.
	h.mustSetApp("canary-app-secret\ndemo-secret\n", "--client-id", "demo-client")
	if got := asked("prompt"); got != "" {
		t.Errorf("parameters of the app before are still sent: prompt=%s", got)
	}
	b := browser(t)
	_, callback, _ := visit(t, b, h.authorize(b), url.Values{"decision": {"approve"}})
	if status, _, body := visit(t, b, callback, nil); status != http.StatusOK {
		t.Fatalf("callback: %d %s", status, body)
	}
	if a := h.api("POST", onDemoOAuth+"/refresh", `{}`); a.status != http.StatusOK {
		t.Errorf("refresh: %d %s", a.status, a.body)
	}
	h.mustSetApp("canary-app-secret\n", "--client-id", "demo-client")
	if a := h.api("POST", onDemoOAuth+"/refresh", `{}`); a.status != http.StatusBadGateway || !strings.Contains(string(a.body), "CONNECTOR_OAUTH_TOKEN_FAILED") {
		t.Errorf("refresh with a secret that the provider refuses: %d %s, want 502", a.status, a.body)
	}
	h.mustSetApp("demo-secret\n", "--client-id", "demo-client")
	if a := h.api("POST", onDemoOAuth+"/refresh", `{}`); a.status != http.StatusOK {
		t.Errorf("refresh with the right one again: %d %s", a.status, a.body)
	}
	if a := h.api("POST", onDemoOAuth+"/actions/me", `{}`); a.status != http.StatusOK {
		t.Errorf("action: %d %s", a.status, a.body)
	}

	out, err := h.setApp("1\n2\n3\n4\n5\n", "--client-id", "demo-client")
	if err == nil || !strings.Contains(out, "client_secrets: at most 4") {
		t.Errorf("five secrets: %v, %s; want a failure that says what is wrong", err, out)
	}
	if strings.Contains(h.log.String(), "canary-app-secret") {
		t.Error("a client secret is in the log")
	}
}
