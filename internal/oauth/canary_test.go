package oauth_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

const canary = "CANARY7f3a"

// leaky is a provider that writes the canary into everything it sends, and records what
// it receives.
type leaky struct {
	refuse   atomic.Bool
	mu       sync.Mutex
	received []url.Values
}

func (l *leaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	l.mu.Lock()
	l.received = append(l.received, r.Form)
	l.mu.Unlock()
	switch {
	case r.URL.Path == "/userinfo", r.URL.Path == "/revoke":
		http.Error(w, canary+r.URL.Path, http.StatusInternalServerError)
	case l.refuse.Load():
		w.Header().Set("X-Reason", canary+"-header")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_request","error_description":"`+canary+`-body","error_uri":"`+canary+`"}`)
	default:
		_, _ = io.WriteString(w, `{"access_token":"`+canary+`-access","refresh_token":"`+canary+`-refresh","id_token":"`+canary+`-id","expires_in":3600,"user":{"access_token":"`+canary+`-user","refresh_token":"`+canary+`-user-refresh"}}`)
	}
}

// withMoreTokens adds all that a connector may have besides one token: an exchange with
// parameters in the URL, and companions from the response and by exchange.
func withMoreTokens(server string) func(*connectors.OAuth2) {
	return func(o *connectors.OAuth2) {
		o.Exchange = &connectors.Exchange{URL: server + "/long", Method: http.MethodGet, TokenParam: "access_token"}
		o.Companions = map[string]connectors.Companion{
			"user":  {TokenFields: map[string]string{"access_token": "user.access_token", "refresh_token": "user.refresh_token"}},
			"files": {Exchange: &connectors.Exchange{Method: http.MethodGet}},
		}
	}
}

// secrets returns the PKCE verifiers that the provider received.
func (l *leaky) secrets() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, form := range l.received {
		if verifier := form.Get("code_verifier"); verifier != "" {
			all = append(all, verifier)
		}
	}
	return all
}

// TestNoSecretIsLoggedPublishedOrStoredInTheClear puts a canary into every secret of a
// flow that others choose (code, tokens, client secret, error bodies and descriptions),
// collects those that we choose (states, cookies, PKCE verifiers, links), and searches
// for all of them in logs, events with their trace context, metrics, redirects,
// responses, and every file of the server.
func TestNoSecretIsLoggedPublishedOrStoredInTheClear(t *testing.T) {
	t.Parallel()
	provider := &leaky{}
	server := newServer(t, provider)
	in := install(t, nil, oauthConnector("leaky", server, withMoreTokens(server)))
	in.setApp("leaky", records.App{ClientID: "client", ClientSecrets: []secret.Text{secret.New(canary + "-client")}})
	var seen strings.Builder // all responses and errors
	secrets := []string{canary}

	const path = "/scopes/organization/acme/connections/leaky"
	begin := func() (b *testenv.Browser, state string) {
		started := in.start(path, map[string]any{"return_url": in.url + "/done"})
		b = testenv.NewBrowser(t)
		_, authorize, _ := b.Get(started)
		state = parameterOf(t, authorize, "state")
		secrets = append(secrets, state, in.cookies(b)[0].Value, started[strings.LastIndex(started, "/")+1:])
		return b, state
	}
	callback := in.url + "/connectors/leaky/oauth/callback?"
	record := func(_ int, location, body string) { seen.WriteString(location + "\n" + body + "\n") }

	b, state := begin()
	record(b.Get(callback + "state=" + state + canary + "&code=" + canary))
	record(b.Get(callback + "state=" + canary + "&code=" + canary))
	record(b.Get(in.url + "/connectors/leaky/oauth/start/" + canary))
	record(b.Get(in.url + "/connectors/leaky/oauth/reconnect/" + canary))
	record(testenv.NewBrowser(t).Get(callback + "state=" + state + "&code=" + canary))
	b, state = begin()
	record(b.Get(callback + "state=" + state + "&error=" + canary + "&error_description=" + canary))
	provider.refuse.Store(true)
	b, state = begin()
	record(b.Get(callback + "state=" + state + "&code=" + canary + "-code"))
	provider.refuse.Store(false)
	b, state = begin()
	record(b.Get(callback + "state=" + state + "&code=" + canary + "-code"))
	c := in.connection("leaky", "")
	provider.refuse.Store(true)
	_, problem := in.call(http.MethodPost, path+"/refresh", nil, nil)
	seen.WriteString(problem.Error())
	in.expire(c.Grant)
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant); err != nil {
		seen.WriteString(err.Error() + connectors.AsError(err).Reason)
	}
	for _, companion := range []string{"user", "files"} {
		in.expire(c.Companions[companion])
		_, err := in.front.OAuth.Source.Companion(t.Context(), c, companion)
		seen.WriteString(err.Error() + connectors.AsError(err).Reason)
	}
	var v connection.View
	in.call(http.MethodGet, path, nil, &v)
	if v.State != records.Active {
		t.Errorf("state %s, want active: a refused request is no refused grant", v.State)
	}
	in.expire(c.Grant)
	refreshing := in.runRefresher(t)
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), c.Grant, time.Now()))
	testenv.Eventually(t, "the refresher to have tried", func() bool { return in.grant(c.Grant).Failures > 0 })
	secrets = append(secrets, provider.secrets()...)
	if len(secrets) != 1+4*3+2 {
		t.Errorf("looking for %d secrets, want those of four flows, and two verifiers", len(secrets))
	}
	look := func() {
		t.Helper()
		in.expectNoSecrets(t, secrets, map[string]string{"answers": seen.String(), "logs": in.front.Log.String(), "metrics": gathered(t, refreshing.Metrics) + gathered(t, in.front.Metrics)})
	}
	look()
	in.call(http.MethodDelete, path, nil, nil) // and the revocation fails
	look()
}

// expectNoSecrets expects the secrets in none of the texts, events and files. Case is
// ignored.
func (in *installation) expectNoSecrets(t *testing.T, secrets []string, texts map[string]string) {
	t.Helper()
	contains := func(text string) bool {
		text = strings.ToLower(text)
		return slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, strings.ToLower(s)) })
	}
	for what, text := range texts {
		if len(text) == 0 || contains(text) {
			t.Errorf("a secret is in the %s, or there are none:\n%s", what, text)
		}
	}
	for _, e := range in.events() {
		if data, err := e.MarshalJSON(); err != nil || contains(string(data)) {
			t.Errorf("a secret is in an event: %s %v", data, err)
		}
	}
	readable := false
	err := filepath.WalkDir(in.front.Env.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // a temporary file of the running server
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		readable = readable || bytes.Contains(data, []byte(`"connector":"leaky"`))
		for _, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("a secret is in the file %s", filepath.Base(path))
			}
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	must(t, err)
	if !readable {
		t.Error("no file holds a record that can be read: not finding secrets says nothing")
	}
}

func gathered(t testing.TB, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	must(t, err)
	var out strings.Builder
	for _, f := range families {
		out.WriteString(f.String())
	}
	return out.String()
}
