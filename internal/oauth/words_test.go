package oauth_test

import (
	"errors"
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
	"github.com/hawser-io/hawser/pkg/events"
)

// refusal is one answer of a token endpoint to a refresh.
type refusal struct {
	status int
	body   string
	words  *connectors.ErrorWords
	fields map[string]string
}

// refusals starts an installation with a connector r-<i> for each refusal, and an expired
// grant of each.
func refusals(t *testing.T, all []refusal) (in *installation, grants []string) {
	t.Helper()
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d/", &i)
		w.WriteHeader(max(all[i].status, http.StatusOK))
		_, _ = io.WriteString(w, all[i].body)
	}))
	var defs []connectors.Connector
	for i, r := range all {
		defs = append(defs, oauthConnector(fmt.Sprintf("r-%d", i), fmt.Sprintf("%s/%d", server, i), func(o *connectors.OAuth2) {
			o.UserInfoURL, o.ErrorWords, o.TokenFields = "", r.words, r.fields
		}))
	}
	in = install(t, nil, defs...)
	for _, d := range defs {
		in.setApp(d.Key, demoApp)
		grants = append(grants, in.storeExpired(t, d.Key))
	}
	return in, grants
}

// What a provider says of a dead refresh token ends the grant at once, in its own words or in
// those of the standards.
func TestADeadTokenIsRecognisedInEveryWord(t *testing.T) {
	t.Parallel()
	dead := func(words ...string) *connectors.ErrorWords { return &connectors.ErrorWords{DeadToken: words} }
	all := []refusal{
		{status: 400, body: `{"error":"invalid_token"}`},
		{status: 400, body: `{"status":"BAD_REFRESH_TOKEN","message":"x"}`},
		{status: 400, body: `{"error":"interaction_required"}`},
		{status: 403, body: `{"error":"unauthorized_client","error_description":"refresh_token is invalid"}`, words: dead("refresh_token is invalid")},
		{status: 400, body: `{"error":{"code":190,"message":"Session has expired"}}`, words: dead("190")},
		{status: 400, body: `{"error":{"message":"The token has been REVOKED by the user"}}`, words: dead("revoked by the user")},
		{status: 401, body: `{"errors":[{"kind":"gone"}]}`, words: dead("gone"), fields: map[string]string{"error": "errors.0.kind"}},
		{status: 500, body: `{"error":"token_is_dead"}`, words: dead("token_is_dead")},
	}
	in, grants := refusals(t, all)
	for i, r := range all {
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grants[i])
		if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthRefreshFailed}) || in.grant(grants[i]).State != records.GrantRevoked {
			t.Errorf("%d %s: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", r.status, r.body, err)
		}
	}
	if n := len(in.eventsOf(events.OAuthNeedsReauth)); n != len(all) {
		t.Errorf("needs_reauth was published %d times, want %d", n, len(all))
	}
}

// Refusals without a known word end a grant when there are many of them past its expiry, and
// never before; what says nothing about the grant does not count.
func TestManyRefusalsPastTheExpiryNeedReauth(t *testing.T) {
	t.Parallel()
	all := []refusal{
		{status: 400, body: `{"error":"invalid_request"}`},
		{status: 403, body: `{"error":"unauthorized_client","error_description":"refresh_token is invalid"}`},
		{status: 400, body: `{"error":{"code":190}}`},
		{status: 200, body: `{"token_type":"bearer"}`},
		{status: 401, body: `{"message":"Unauthorized"}`},
	}
	never := []refusal{
		{status: 401, body: `{"error":"invalid_client"}`},
		{status: 503, body: `{"error":"x"}`},
		{status: 429, body: `{"error":"x"}`},
		{status: 200, body: `<html>maintenance</html>`},
		{status: 400, body: `{"error":"temporarily_unavailable"}`},
		{status: 400, body: `{"error":"busy"}`, words: &connectors.ErrorWords{Retry: []string{"busy"}}},
		{status: 400, body: `{"error":"unauthorized_client"}`, words: &connectors.ErrorWords{WrongApp: []string{"unauthorized_client"}}},
	}
	in, grants := refusals(t, append(all, never...))
	refuse := func(key string) (attempts int) {
		for range 12 {
			if g := in.grant(key); g.State == records.GrantRevoked {
				return attempts
			}
			in.expire(key)
			_, _ = in.front.OAuth.Source.Fresh(t.Context(), key)
			attempts++
		}
		return attempts
	}
	for i, r := range append(all, never...) {
		attempts, state := refuse(grants[i]), in.grant(grants[i]).State
		switch {
		case i < len(all) && (state != records.GrantRevoked || attempts < 5):
			t.Errorf("%d %s: %s after %d refusals, want needs_reauth after some", r.status, r.body, state, attempts)
		case i >= len(all) && state != records.GrantLive:
			t.Errorf("%d %s: %s after %d refusals, want live", r.status, r.body, state, attempts)
		}
	}
	published := in.eventsOf(events.OAuthNeedsReauth)
	if len(published) != len(all) || published[0].URL == "" {
		t.Errorf("needs_reauth: got %+v, want %d with a link", published, len(all))
	}
}

func TestRefusalsBeforeTheExpiryDoNotCount(t *testing.T) {
	t.Parallel()
	in, grants := refusals(t, []refusal{{status: 400, body: `{"error":"invalid_request"}`}})
	g := in.grant(grants[0])
	g.IssuedAt, g.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
	must(t, in.front.Grants.Save(t.Context(), g))
	for range 12 {
		_, _ = in.front.OAuth.Source.RenewNow(t.Context(), grants[0])
	}
	if got := in.grant(grants[0]); got.State != records.GrantLive || got.Failures != 12 {
		t.Errorf("got %s after %d failures, want live", got.State, got.Failures)
	}
}

// A token that is none never replaces one that is good.
func TestValuesThatAreNoTokensAreTakenForNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`false`, `0`, `" "`, `"RT2\n"`, `""`, `null`, `{"a":1}`, `["RT2"]`, `"RT\u00e9"`, `12345`} {
		in, grants := refusals(t, []refusal{{body: `{"access_token":"AT 2","refresh_token":` + bad + `,"expires_in":3600}`}})
		_, err := in.front.OAuth.Source.Fresh(t.Context(), grants[0])
		must(t, err)
		opened, err := in.front.Grants.Open(in.grant(grants[0]))
		must(t, err)
		if opened.Refresh.Reveal() != "old-refresh" || opened.Access.Reveal() != "AT 2" {
			t.Errorf("%s: got %q and %q, want the old refresh token with the new access token", bad, opened.Access.Reveal(), opened.Refresh.Reveal())
		}
	}
	var all []refusal
	for _, bad := range []string{`true`, `0`, `" "`, `"AT\n"`, `{"a":1}`, `"AT\u00e9"`} {
		all = append(all, refusal{body: `{"access_token":` + bad + `,"expires_in":3600}`})
	}
	in, grants := refusals(t, all)
	for i, r := range all {
		if _, err := in.front.OAuth.Source.Fresh(t.Context(), grants[i]); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthParseTokenFailed}) {
			t.Errorf("%s: got %v, want CONNECTOR_OAUTH_PARSE_TOKEN_FAILED", r.body, err)
		}
	}
}

// What is no id names nobody: connections do not share a grant by it.
func TestValuesThatAreNoIDsNameNobody(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"id":false}`: "", `{"id":true}`: "", `{"id":0}`: "", `{"id":" "}`: "", `{"id":"a\nb"}`: "", `{"id":"` + strings.Repeat("x", 600) + `"}`: "",
		`{"id":12345678901234567890}`: "12345678901234567890", `{"id":"u-é"}`: "u-é",
	} {
		provider := &transcript{answers: map[string]string{"/userinfo": answer}}
		in := installWithApp(t, nil, oauthConnector("p", newServer(t, provider), nil))
		if location := in.connectWithCode("p"); !strings.Contains(location, "status=success") {
			t.Fatalf("%s: got %s", answer, location)
		}
		if got := in.grant(in.connection("p", "").Grant).Account; got != want {
			t.Errorf("%s: account %q, want %q", answer, got, want)
		}
	}
}

// An expiry of zero or less is none that could be relied on: a token that can be renewed is
// renewed within the hour, another is used until it is refused.
func TestAnExpiryOfZeroIsUnknown(t *testing.T) {
	t.Parallel()
	for _, expires := range []string{"0", "-1", `"0"`, `"-1"`} {
		for refresh, want := range map[string]time.Duration{`,"refresh_token":"RT"`: time.Hour, "": 0} {
			provider := &transcript{answers: map[string]string{"/token": `{"access_token":"AT","expires_in":` + expires + refresh + `}`}}
			in := installWithApp(t, nil, oauthConnector("p", newServer(t, provider), func(o *connectors.OAuth2) { o.UserInfoURL = "" }))
			in.connectWithCode("p")
			if got := in.grant(in.connection("p", "").Grant).Lifetime(); (got - want).Abs() > time.Minute {
				t.Errorf("%s%s: lifetime %s, want %s", expires, refresh, got, want)
			}
		}
	}
}

// The user's own refusal is distinguished from a fault, in every provider's words.
func TestACancelledConsentIsDenied(t *testing.T) {
	t.Parallel()
	in := installWithApp(t, nil, oauthConnector("p", "https://p.example", func(o *connectors.OAuth2) {
		o.ErrorWords = &connectors.ErrorWords{Cancelled: []string{"bye", "pressed cancel"}}
	}))
	for query, want := range map[string]string{
		"error=access_denied": "access_denied", "error=user_cancelled_login": "access_denied", "error=user_cancelled_authorize": "access_denied",
		"error=bye": "access_denied", "error=x&error_description=The+user+pressed+Cancel": "access_denied",
		"error=server_error": "server_error", "error=secret-text": "unlisted_error", "error=access_denied&error_reason=user_denied": "access_denied",
		"error_code=200&error_reason=user_denied": "access_denied",
	} {
		b := testenv.NewBrowser(t)
		_, to, _ := b.Get(in.start("/scopes/organization/acme/connections/p", map[string]any{}))
		u, err := url.Parse(to)
		must(t, err)
		status, _, body := b.Get(u.Query().Get("redirect_uri") + "?" + query + "&state=" + u.Query().Get("state"))
		if status != http.StatusBadRequest || !strings.Contains(body, `"code":"CONNECTOR_OAUTH_DENIED"`) || !strings.Contains(body, `"reason":"`+want+`"`) {
			t.Errorf("%s: got %d %s, want CONNECTOR_OAUTH_DENIED %s", query, status, body, want)
		}
		if cancelled := strings.Contains(body, "you did not allow access"); cancelled != (want == "access_denied") {
			t.Errorf("%s: got %s, want the words for the user's own refusal: %v", query, body, want == "access_denied")
		}
	}
}

// A grant that was given up for many refusals comes back when somebody has it renewed and the
// provider gives tokens again.
func TestAGrantThatWasGivenUpCanBeRenewedOnDemand(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_request"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"AT","refresh_token":"RT","expires_in":3600}`)
	}))
	in := installWithApp(t, nil, oauthConnector("p", server, func(o *connectors.OAuth2) { o.UserInfoURL = "" }))
	grant := in.storeExpired(t, "p")
	for in.grant(grant).State == records.GrantLive {
		_, _ = in.front.OAuth.Source.RenewNow(t.Context(), grant)
	}
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), grant); err == nil || in.grant(grant).State != records.GrantRevoked {
		t.Errorf("while the provider refuses: got %v, want a refusal", err)
	}
	if got := in.connection("p", "").State; got != records.NeedsReauth {
		t.Errorf("connection: got %s, want needs_reauth", got)
	}
	well.Store(true)
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), grant); err != nil {
		t.Errorf("when it gives tokens again: %v", err)
	}
	if got := in.connection("p", "").State; got != records.Active {
		t.Errorf("connection: got %s, want active", got)
	}
	if n := len(in.eventsOf(events.OAuthNeedsReauth)); n != 1 {
		t.Errorf("needs_reauth was published %d times, want once", n)
	}
}
