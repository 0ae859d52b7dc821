package oauth_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// TestNoSecretLeavesItsPlace plants a canary in every secret of a flow, and looks
// for it everywhere: logs, events, metrics, redirects, answers, and every file that
// the server has written.
func TestNoSecretLeavesItsPlace(t *testing.T) {
	t.Parallel()
	const canary = "CANARY7f3a"
	var refuse atomic.Bool
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		switch {
		case r.URL.Path == "/userinfo":
			http.Error(w, canary+"-userinfo", http.StatusInternalServerError)
		case refuse.Load():
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_request","error_description":"`+canary+`-body","error_uri":"`+canary+`"}`)
		default:
			_, _ = io.WriteString(w, `{"access_token":"`+canary+`-access","refresh_token":"`+canary+`-refresh","id_token":"`+canary+`-id","expires_in":3600}`)
		}
	}))
	metrics := prometheus.NewRegistry()
	in := install(t, &oauth.Options{Metrics: metrics}, oauthConnector("leaky", server, nil))
	in.setApp("leaky", connection.App{ClientID: "client", ClientSecrets: []secret.Text{secret.New(canary + "-client")}})
	var seen strings.Builder // all that browsers and callers were told

	const path = "/scopes/organization/acme/connections/leaky"
	begin := func() (b *browser, state string) {
		var started struct {
			URL string `json:"authorization_url"`
		}
		in.call(http.MethodPut, path, map[string]any{"return_url": in.url + "/done"}, &started)
		b = newBrowser(t)
		_, authorize, _ := b.get(started.URL)
		u, err := url.Parse(authorize)
		must(t, err)
		return b, u.Query().Get("state")
	}
	callback := in.url + "/connectors/leaky/oauth/callback?"
	tell := func(_ int, location, body string) { seen.WriteString(location + "\n" + body + "\n") }

	b, state := begin()
	tell(b.get(callback + "state=" + state + canary + "&code=" + canary))
	tell(b.get(callback + "state=" + canary + "&code=" + canary))
	tell(b.get(callback + "state=" + state + "&error=" + canary + "&error_description=" + canary))
	refuse.Store(true)
	b, state = begin()
	tell(b.get(callback + "state=" + state + "&code=" + canary + "-code"))
	refuse.Store(false)
	b, state = begin()
	tell(b.get(callback + "state=" + state + "&code=" + canary + "-code"))
	c, err := in.front.service.Latest(t.Context(), connection.NewRef(acme, "leaky", ""))
	must(t, err)
	refuse.Store(true)
	_, problem := in.call(http.MethodPost, path+"/refresh", nil, nil)
	seen.WriteString(problem.Error())
	in.expire(c.Grant)
	if _, err := in.front.tokens.Fresh(t.Context(), c.Grant); err != nil {
		seen.WriteString(err.Error() + connectors.AsError(err).Reason)
	}
	var v connection.View
	in.call(http.MethodGet, path, nil, &v)
	if v.State != connection.Active {
		t.Errorf("state %s, want active: a refused request is no refused grant", v.State)
	}

	for what, text := range map[string]string{"answers": seen.String(), "logs": in.logs.String(), "metrics": gathered(t, metrics)} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
			t.Errorf("the canary is in the %s:\n%s", what, text)
		}
	}
	for _, e := range in.events() {
		if data, err := e.MarshalJSON(); err != nil || strings.Contains(strings.ToLower(string(data)), strings.ToLower(canary)) {
			t.Errorf("the canary is in an event: %s %v", data, err)
		}
	}
	err = filepath.WalkDir(in.env.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("the canary is in %s", filepath.Base(path))
		}
		return err
	})
	must(t, err)
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
