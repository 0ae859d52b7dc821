package oauth_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// dialect is one response of a token endpoint, and what is read from it.
type dialect struct {
	name, contentType, body string
	header                  string // X-Session-Token
	status                  int
	with                    func(*connectors.OAuth2)

	token   string        // default: tok
	life    time.Duration // of the access token; 0: never ends
	refresh string
	granted []string
	code    connectors.Code // of a failure
}

func jwt(exp time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix())) + ".c2ln"
}

func dialects() []dialect {
	const failed, unread = connectors.CodeConnectorOAuthTokenFailed, connectors.CodeConnectorOAuthParseTokenFailed
	soon := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	fields := func(name, path string) func(*connectors.OAuth2) {
		return func(o *connectors.OAuth2) { o.TokenFields = map[string]string{name: path} }
	}
	expiry := func(f connectors.ExpiryForm) func(*connectors.OAuth2) {
		return func(o *connectors.OAuth2) { o.Expiry = f }
	}
	return []dialect{
		{name: "the standard", body: `{"access_token":"tok","refresh_token":"r","expires_in":3600,"scope":"b a"}`, life: time.Hour, refresh: "r", granted: []string{"a", "b"}},
		{name: "a byte order mark", body: "\ufeff" + `{"access_token":"tok","refresh_token":"r","expires_in":3600}`, life: time.Hour, refresh: "r"},
		{name: "seconds as text", body: `{"access_token":"tok","expires_in":"3600"}`, life: time.Hour},
		{name: "other names", status: 201, body: `{"token":"tok","refreshToken":"r","expiresAt":"` + soon.Format(time.RFC3339) + `"}`, life: 2 * time.Hour, refresh: "r"},
		{name: "expires", body: `{"token":"tok","expires":3600}`, life: time.Hour},
		{name: "a form", contentType: "application/x-www-form-urlencoded", body: "access_token=tok&scope=repo%2Cgist&expires_in=3600", life: time.Hour, granted: []string{"gist", "repo"}},
		{name: "a form called JSON", body: "access_token=tok&token_type=bearer"},
		{name: "JSON called text", contentType: "text/plain", body: `{"access_token":"tok","scope":"a,b"}`, granted: []string{"a", "b"}},
		{name: "nested", body: `{"ok":true,"authed_user":{"access_token":"tok"}}`, with: fields("access_token", "authed_user.access_token")},
		{name: "in a list", body: `{"data":[{"token":"tok"}]}`, with: fields("access_token", "data.0.token")},
		{name: "scopes as a list", body: `{"access_token":"tok","scopes":["b","a","b"]}`, granted: []string{"a", "b"}},
		{name: "scopes by plus", body: `{"access_token":"tok","scope":"a+b"}`, with: func(o *connectors.OAuth2) { o.ScopeSeparator = "+" }, granted: []string{"a", "b"}},
		{name: "milliseconds", body: `{"access_token":"tok","expires_in":3600000}`, with: expiry(connectors.ExpiryMilliseconds), life: time.Hour},
		{name: "a point in time", body: fmt.Sprintf(`{"access_token":"tok","expires_at":%d}`, soon.Unix()), life: 2 * time.Hour},
		{name: "a point in milliseconds", body: fmt.Sprintf(`{"access_token":"tok","expires_at":%d}`, soon.UnixMilli()), life: 2 * time.Hour},
		{name: "a span", body: `{"access_token":"tok","expires_in":"1h"}`, life: time.Hour},
		{name: "a span of days", body: `{"access_token":"tok","expires_in":"7d"}`, life: 7 * 24 * time.Hour},
		{name: "a span in words", body: `{"access_token":"tok","expires_in":"90 Minutes"}`, life: 90 * time.Minute},
		{name: "nonsense as expiry", body: `{"access_token":"tok","expires_in":"abc"}`, life: time.Hour},
		{name: "zero", body: `{"access_token":"tok","expires_in":0}`},
		{name: "never, by definition", body: `{"access_token":"tok","expires_in":3600}`, with: expiry(connectors.ExpiryNone)},
		{name: "the whole body", contentType: "text/plain", body: " tok\n", with: fields("access_token", "$body")},
		{name: "a page as the whole body", contentType: "text/html", body: `<html>CANARY</html>`, with: fields("access_token", "$body"), code: unread},
		{name: "a header", header: "tok", body: `{"expires_in":3600}`, with: fields("access_token", "$header.X-Session-Token"), life: time.Hour},
		{name: "a header without a body", header: "tok", with: fields("access_token", "$header.X-Session-Token")},
		{name: "a missing header", body: `{"access_token":"CANARY"}`, with: fields("access_token", "$header.X-Session-Token"), code: unread},
		{name: "a JWT's own end", body: `{"access_token":"` + jwt(soon) + `","expires_in":60}`, with: expiry(connectors.ExpiryJWT), token: jwt(soon), life: 2 * time.Hour},
		{name: "a date without a zone", body: `{"access_token":"tok","expires_at":"` + soon.Format("2006-01-02T15:04:05") + `"}`, life: 2 * time.Hour},
		{name: "an error under a name of its own", body: `{"status":{"code":"invalid_grant"},"access_token":"CANARY"}`, with: fields("error", "status.code"), code: failed},
		{name: "an error as a form", contentType: "application/x-www-form-urlencoded", body: "error=bad_verification_code&error_description=CANARY", code: failed},
		{name: "XML", contentType: "application/xml; charset=utf-8", body: `<?xml version="1.0" encoding="UTF-8"?><r><access_token>tok</access_token><refresh_token> r </refresh_token><expires_in>3600</expires_in></r>`, life: time.Hour, refresh: "r"},
		{name: "XML, nested", contentType: "text/xml", body: `<t:res xmlns:t="urn:x"><t:ok/><t:sessions><s token="no"/><s token="tok"/></t:sessions></t:res>`, with: fields("access_token", "sessions.s.1.@token")},
		{name: "XML beside an attribute", contentType: "application/vnd.x+xml", body: `<r><token kind="bearer">tok</token></r>`, with: fields("access_token", "token.#text")},
		{name: "XML of who is asked in XML", contentType: "text/plain", body: `<r><token>tok</token></r>`, with: func(o *connectors.OAuth2) { o.TokenBody = connectors.TokenBodyXML }},
		{name: "an error in XML", contentType: "text/xml", body: `<r><error code="invalid_grant">CANARY</error><token>CANARY</token></r>`, with: fields("error", "error.@code"), code: failed},
		{name: "an entity from outside", contentType: "text/xml", body: `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><token>&x;CANARY</token></r>`, code: unread},
		{name: "an entity of its own", contentType: "text/xml", body: `<r><token>&x;CANARY</token></r>`, code: unread},
		{name: "a page as XML", contentType: "application/xhtml+xml", body: `<html><token>CANARY</token></html>`, code: unread},
		{name: "XML without an end", contentType: "text/xml", body: `<r><token>CANARY</token>`, code: unread},
		{name: "two documents of XML", contentType: "text/xml", body: `<r><token>CANARY</token></r><r/>`, code: unread},
		{name: "a deep document", contentType: "text/xml", body: strings.Repeat("<token>", 5000) + "CANARY" + strings.Repeat("</token>", 5000), code: unread},
		{name: "a wide document", contentType: "text/xml", body: "<r><token>CANARY</token>" + strings.Repeat("<a/>", 20000) + "</r>", code: unread},
		{name: "in Go", body: `TOKEN tok`, with: func(o *connectors.OAuth2) {
			o.ParseToken = func(_ int, _ http.Header, body []byte) (json.RawMessage, error) {
				return json.Marshal(map[string]any{"access_token": strings.TrimPrefix(string(body), "TOKEN "), "expires_in": 3600})
			}
		}, life: time.Hour},
		{name: "an error in a success", body: `{"error":"bad_verification_code"}`, code: failed},
		{name: "not ok", body: `{"ok":false,"error":"invalid_code"}`, code: failed},
		{name: "a refusal", status: 400, body: `{"error":"invalid_grant","error_description":"CANARY"}`, code: failed},
		{name: "a redirect", status: 302, body: ``, code: failed},
		{name: "a crash", status: 500, body: `CANARY`, code: failed},
		{name: "a page", contentType: "text/html", body: `<html>CANARY</html>`, code: unread},
		{name: "no token", body: `{"refresh_token":"CANARY"}`, code: unread},
		{name: "an empty answer", body: ``, code: unread},
		{name: "a broken answer", body: `{"access_token":"CAN`, code: unread},
		{name: "a header in the token", body: `{"access_token":"a\r\nX: CANARY"}`, code: unread},
		{name: "too much", body: `{"access_token":"` + strings.Repeat("x", 2<<20) + `"}`, code: unread},
	}
}

func TestTokenResponsesInEveryDialect(t *testing.T) {
	t.Parallel()
	all := dialects()
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d/", &i)
		if !strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(w, `{"user_id":"u","display_name":"Una","mail":"una@example.com","photo":"p"}`)
			return
		}
		kind := all[i].contentType
		if kind == "" {
			kind = "application/json"
		}
		w.Header().Set("Content-Type", kind)
		if all[i].header != "" {
			w.Header().Set("X-Session-Token", all[i].header)
		}
		w.WriteHeader(max(all[i].status, 200))
		_, _ = io.WriteString(w, all[i].body)
	}))
	var defs []connectors.Connector
	for i, d := range all {
		defs = append(defs, oauthConnector(fmt.Sprintf("d-%d", i), fmt.Sprintf("%s/%d", server, i), d.with))
	}
	in := install(t, nil, defs...)
	for i, d := range all {
		key := defs[i].Key
		in.setApp(key, demoApp)
		location := in.connectWithCode(key)
		if d.code != "" {
			if !strings.Contains(location, "error="+string(d.code)) || strings.Contains(location, "CANARY") {
				t.Errorf("%s: got %s, want %s", d.name, location, d.code)
			}
			continue
		}
		if !strings.Contains(location, "status=success") {
			t.Errorf("%s: got %s, want success", d.name, location)
			continue
		}
		c := in.connection(key, "")
		g := in.grant(c.Grant)
		opened, err := in.front.Grants.Open(g)
		must(t, err)
		if got, want := opened.Access.Reveal(), cmp.Or(d.token, "tok"); got != want {
			t.Errorf("%s: access token %q, want %q", d.name, got, want)
		}
		if got := opened.Refresh.Reveal(); got != d.refresh {
			t.Errorf("%s: refresh token %q, want %q", d.name, got, d.refresh)
		}
		if got := g.Lifetime(); (got - d.life).Abs() > 30*time.Second {
			t.Errorf("%s: expires in %s, want %s", d.name, got, d.life)
		}
		if d.granted == nil {
			d.granted = []string{"read", "profile"} // as requested
		}
		if diff := gocmp.Diff(d.granted, g.Granted); diff != "" {
			t.Errorf("%s: granted scopes (-want +got):\n%s", d.name, diff)
		}
		if diff := gocmp.Diff(&records.User{ID: "u", Name: "Una", Email: "una@example.com", Avatar: "p"}, g.User); diff != "" {
			t.Errorf("%s: user (-want +got):\n%s", d.name, diff)
		}
	}
	if strings.Contains(in.front.Log.String(), "CANARY") {
		t.Error("a provider's text is in the log")
	}
}

// connectWithCode connects at a provider of which this test plays the authorization
// endpoint. It returns where the callback redirects to, and its body.
func (in *installation) connectWithCode(connector string) (answer string) {
	in.t.Helper()
	started := in.start("/scopes/organization/acme/connections/"+connector, map[string]any{"return_url": in.url + "/done"})
	_, answer, _ = in.authorize(testenv.NewBrowser(in.t), started, "&realm=r1")
	return answer
}

func TestAJWTStatesItsExpiry(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(90 * time.Minute).Truncate(time.Second)
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"`+jwt(ends)+`","site":"https://eu.example"}`)
	}))
	in := installWithApp(t, nil, oauthConnector("jot", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.Metadata = "", map[string]string{"site": "token.site"}
	}))
	in.connectWithCode("jot")
	c := in.connection("jot", "")
	if g := in.grant(c.Grant); !g.ExpiresAt.Equal(ends) {
		t.Errorf("ends %v, want %v", g.ExpiresAt, ends)
	}
	if got, want := string(c.Config), `{"site":"https://eu.example"}`; got != want {
		t.Errorf("config: got %s, want %s from the reply", got, want)
	}
}

func TestClientCredentialsConnectAndRenew(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := installWithApp(t, nil, machine(p.URL(), nil))
	const path = "/scopes/organization/acme/connections/machine"
	if status, problem := in.call(http.MethodPut, path, map[string]any{}, nil); status != http.StatusCreated {
		t.Fatalf("connect: got %d %v, want 201", status, &problem)
	}
	c := in.connection("machine", "")
	in.expire(c.Grant)
	var runtime connection.Runtime
	in.call(http.MethodPost, path+"/resolve", nil, &runtime)
	if !strings.HasPrefix(runtime.Headers["Authorization"], "Bearer dat_") || runtime.ExpiresAt == nil {
		t.Errorf("resolve: got %v, want a bearer token and its end", runtime.ExpiresAt)
	}
	if got := stats(t, p); got.Exchanges != 2 {
		t.Errorf("provider counted %+v, want two tokens", got)
	}
	in.setApp("machine", records.App{ClientID: "stranger"})
	if status, problem := in.call(http.MethodPut, path+"?account=b", map[string]any{}, nil); status != http.StatusBadGateway || problem.Code != connectors.CodeConnectorOAuthTokenFailed {
		t.Errorf("with a wrong client: got %d %s, want 502 CONNECTOR_OAUTH_TOKEN_FAILED", status, problem.Code)
	}
}
