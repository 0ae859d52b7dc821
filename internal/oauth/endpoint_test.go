package oauth_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A refresh token that a response does not replace is kept, also at a refresh URL of its
// own; one that it replaces is replaced.
func TestARefreshTokenThatIsNotReplacedIsKept(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := map[int64]string{1: "old-refresh", 2: "old-refresh", 3: "second"}[asked.Add(1)]
		if r.URL.Path != "/refresh" || r.FormValue("refresh_token") != want {
			t.Errorf("call %d: %s with %q, want %q", asked.Load(), r.URL.Path, r.FormValue("refresh_token"), want)
		}
		more := ""
		if asked.Load() == 2 {
			more = `,"refresh_token":"second"`
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"at-%d","expires_in":3600%s}`, asked.Load(), more)
	}))
	in := installWithApp(t, nil, oauthConnector("keep", server, func(o *connectors.OAuth2) { o.RefreshURL, o.UserInfoURL = server+"/refresh", "" }))
	grant := in.storeExpired(t, "keep")
	for range 3 {
		in.expire(grant)
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
		must(t, err)
	}
}

// A rate limit in the provider's own form is neither a refusal nor the end of the grant.
// Times are read by the provider's clock.
func TestRateLimitsOfTheTokenEndpointAreRespected(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"a limit": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Remaining", "0")
			w.Header().Set("X-Reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()))
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":"access_denied"}`)
		},
		"a pause": func(w http.ResponseWriter, _ *http.Request) {
			slow := time.Now().Add(-time.Hour).UTC()
			w.Header().Set("Date", slow.Format(http.TimeFormat))
			w.Header().Set("Retry-After", slow.Add(10*time.Minute).Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := oauthConnector("limited", newServer(t, answer), func(o *connectors.OAuth2) { o.UserInfoURL, o.RevocationURL = "", "" })
			c.RateLimit = &connectors.RateLimit{Statuses: []int{403}, Windows: []connectors.RateWindow{{Remaining: "X-Remaining", Reset: "X-Reset", Form: connectors.ExpiryEpoch}}}
			in := installWithApp(t, nil, c)
			grant := in.storeExpired(t, "limited")
			_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
			e := connectors.AsError(err)
			if e == nil || e.Code != connectors.CodeConnectorOAuthTokenFailed || e.RetryAfter < 9*time.Minute {
				t.Errorf("got %v, again after %s; want CONNECTOR_OAUTH_TOKEN_FAILED, after ten minutes", err, e.RetryAfter)
			}
			if g := in.grant(grant); g.State != records.GrantLive || g.RetryAt.Before(time.Now().Add(9*time.Minute)) {
				t.Errorf("the grant is %s, to be renewed at %s", g.State, g.RetryAt)
			}
		})
	}
}

// The provider states only in its redirect which token endpoint the code is for. The
// code is sent there, and the client's secret to no URL that the schema does not list.
func TestTheCallbackSelectsTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	europe, america, stranger := &recorder{}, &recorder{}, &recorder{}
	eu, us, evil := newServer(t, europe), newServer(t, america), newServer(t, stranger)
	schema, err := schema.Parse([]byte(`{"type":"object","properties":{"accounts":{"type":"string","enum":["` + eu + `","` + us + `"],"default":"` + us + `"}}}`))
	must(t, err)
	c := oauthConnector("placed", us, func(o *connectors.OAuth2) {
		o.TokenURL, o.UserInfoURL, o.RevocationURL = "${config.accounts}/token", "", ""
		o.Metadata = map[string]string{"accounts": "query.accounts-server"}
	})
	c.Config = schema
	in := installWithApp(t, nil, c)
	const path = "/scopes/organization/acme/connections/placed"
	connect := func(account, place string) (status int, body string) {
		t.Helper()
		more := ""
		if place != "" {
			more = "&accounts-server=" + url.QueryEscape(place)
		}
		status, body, _ = in.authorize(testenv.NewBrowser(t), in.start(path+"?account="+account, map[string]any{}), more)
		return status, body
	}
	for account, place := range map[string]string{"eu": eu, "us": us, "unsaid": ""} {
		if status, body := connect(account, place); status != http.StatusOK {
			t.Errorf("%s: callback: got %d %s", account, status, body)
		}
	}
	if status, problem := in.call(http.MethodPost, path+"/refresh?account=eu", nil, nil); status != http.StatusOK {
		t.Errorf("refresh: got %d %v", status, &problem)
	}
	if status, body := connect("evil", evil); status != http.StatusBadRequest || !strings.Contains(body, string(connectors.CodeConnectorConfigInvalid)) {
		t.Errorf("a place that is not listed: got %d %s, want CONNECTOR_CONFIG_INVALID", status, body)
	}
	if len(europe.asked) != 2 || len(america.asked) != 2 || len(stranger.asked) != 0 {
		t.Errorf("asked: %d in Europe, %d in America, %d elsewhere; want 2, 2, none", len(europe.asked), len(america.asked), len(stranger.asked))
	}
}
