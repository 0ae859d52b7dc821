package connectors_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// revealed returns a runtime's values in the clear.
func revealed(rt connectors.Runtime) map[string]string {
	all := map[string]string{"base": rt.BaseURL}
	for name, v := range rt.Headers {
		all["header "+name] = v.Reveal()
	}
	for name, v := range rt.Query {
		all["query "+name] = v.Reveal()
	}
	return all
}

func TestResolveFillsInTheTemplates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		connector connectors.Connector
		config    string
		want      map[string]string
	}{
		{"nothing", connectors.Connector{}, ``, map[string]string{"base": ""}},
		{
			"a key in a header",
			connectors.Connector{BaseURL: "https://a.example/v1/", Auth: connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Bearer ${config.apiKey}", "Accept": "application/json"}}},
			`{"apiKey":"kä\u0041"}`,
			map[string]string{"base": "https://a.example/v1", "header Authorization": "Bearer käA", "header Accept": "application/json"},
		},
		{
			"a key in base64",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Basic ${config.key | base64}"}}},
			`{"key":"sk:"}`,
			map[string]string{"base": "https://a.example", "header Authorization": "Basic c2s6"},
		},
		{
			"a key in the query",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthAPIKey, Query: map[string]string{"key": "${config.auth.key}"}}},
			`{"auth":{"key":"a&b=c"}}`,
			map[string]string{"base": "https://a.example", "query key": "a&b=c"},
		},
		{
			"basic",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthBasic, Username: "${config.user}/token", Password: "${config.password}"}},
			`{"user":"u","password":"p:q"}`,
			map[string]string{"base": "https://a.example", "header Authorization": "Basic dS90b2tlbjpwOnE="},
		},
		{
			"basic with a key as the user",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthBasic, Username: "${config.key}"}},
			`{"key":"sk"}`,
			map[string]string{"base": "https://a.example", "header Authorization": "Basic c2s6"},
		},
		{
			"mapped; what is absent, null or empty is left out",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthMapped, Headers: map[string]string{
				"X-Id": "${config.id}", "X-Both": "${config.id}:${config.on}:${config.ratio}", "X-Org": "${config.org}", "X-Null": "a${config.null}", "X-Empty": "${config.empty}",
			}}},
			`{"id":12345678901234567890,"on":true,"ratio":1.50,"null":null,"empty":""}`,
			map[string]string{"base": "https://a.example", "header X-Id": "12345678901234567890", "header X-Both": "12345678901234567890:true:1.50"},
		},
		{
			"the URL from the config",
			connectors.Connector{BaseURL: "${config.url}/api/${config.org}"},
			`{"url":"http://localhost:8080/x/","org":"a b/c"}`,
			map[string]string{"base": "http://localhost:8080/x/api/a%20b%2Fc"},
		},
		{"a host from the config", connectors.Connector{BaseURL: "https://${config.site}.example.com"}, `{"site":"acme-1"}`, map[string]string{"base": "https://acme-1.example.com"}},
		{"a host and port from the config", connectors.Connector{BaseURL: "https://${config.host}/api"}, `{"host":"git.acme.test:8443"}`, map[string]string{"base": "https://git.acme.test:8443/api"}},
		{"a token in the path", connectors.Connector{BaseURL: "https://api.example/bot${config.token}"}, `{"token":"1:a-b_c"}`, map[string]string{"base": "https://api.example/bot1:a-b_c"}},
		{
			"OAuth: without the token",
			connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthOAuth2, Headers: map[string]string{"X-Version": "3"}}},
			`{}`,
			map[string]string{"base": "https://a.example", "header X-Version": "3"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.connector.Resolve([]byte(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, revealed(got)); diff != "" {
				t.Errorf("Resolve(%s) (-want +got):\n%s", tt.config, diff)
			}
			if want := len(got.Headers) + len(got.Query); len(got.Secrets()) != want {
				t.Errorf("Secrets has %d values, want %d", len(got.Secrets()), want)
			}
		})
	}
}

func TestResolveRefusesValuesThatChangeTheirContext(t *testing.T) {
	t.Parallel()
	header := connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"X-Key": "${config.v}"}}}
	query := connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthMapped, Query: map[string]string{"k": "x${config.v}"}}}
	basic := connectors.Connector{BaseURL: "https://a.example", Auth: connectors.Auth{Kind: connectors.AuthBasic, Username: "${config.v}", Password: "p"}}
	whole, host, path := connectors.Connector{BaseURL: "${config.v}"}, connectors.Connector{BaseURL: "https://${config.v}.a.example/x"}, connectors.Connector{BaseURL: "https://a.example/x/${config.v}"}
	tests := []struct {
		name      string
		connector connectors.Connector
		config    string
		want      schema.FieldError
	}{
		{"a new header", header, `{"v":"a\r\nX-Admin: 1"}`, schema.FieldError{Path: "v", Message: "must not contain line breaks or other control characters"}},
		{"a line feed in the query", query, `{"v":"a\nb"}`, schema.FieldError{Path: "v", Message: "must not contain line breaks or other control characters"}},
		{"a NUL", header, `{"v":"a\u0000"}`, schema.FieldError{Path: "v", Message: "must not contain line breaks or other control characters"}},
		{"an object", header, `{"v":{"a":1}}`, schema.FieldError{Path: "v", Message: "must be a single value"}},
		{"no credential", header, `{}`, schema.FieldError{Message: "has no value for any credential"}},
		{"an empty credential", query, `{"v":""}`, schema.FieldError{Message: "has no value for any credential"}},
		{"no user", basic, `{"v":null}`, schema.FieldError{Message: "has no value for any credential"}},
		{"a colon in the user", basic, `{"v":"a:b"}`, schema.FieldError{Message: "must not have a colon in the user name"}},
		{"no URL", whole, `{}`, schema.FieldError{Path: "v", Message: "is required"}},
		{"not a URL", whole, `{"v":"a.example"}`, schema.FieldError{Path: "v", Message: "must be an http or https URL without user, query or fragment"}},
		{"another scheme", whole, `{"v":"file:///etc/passwd"}`, schema.FieldError{Path: "v", Message: "must be an http or https URL without user, query or fragment"}},
		{"a user in the URL", whole, `{"v":"https://a.example@b.example"}`, schema.FieldError{Path: "v", Message: "must be an http or https URL without user, query or fragment"}},
		{"a query in the URL", whole, `{"v":"https://a.example?x"}`, schema.FieldError{Path: "v", Message: "must be an http or https URL without user, query or fragment"}},
		{"another host by a slash", host, `{"v":"evil.example/"}`, schema.FieldError{Path: "v", Message: "must be a host name, or a part of one"}},
		{"another host by a fragment", host, `{"v":"evil.example#"}`, schema.FieldError{Path: "v", Message: "must be a host name, or a part of one"}},
		{"another host by a user", host, `{"v":"evil@b"}`, schema.FieldError{Path: "v", Message: "must be a host name, or a part of one"}},
		{"another host by an escape", host, `{"v":"evil.example%2f"}`, schema.FieldError{Path: "v", Message: "must be a host name, or a part of one"}},
		{"another host by a backslash", host, `{"v":"evil.example\\"}`, schema.FieldError{Path: "v", Message: "must be a host name, or a part of one"}},
		{"a port within the host", host, `{"v":"evil.example:443"}`, schema.FieldError{Message: "does not make a valid URL"}},
		{"up the path", path, `{"v":".."}`, schema.FieldError{Path: "v", Message: "must be a segment of a path"}},
		{"a broken config", path, `{"v":`, schema.FieldError{Path: "v", Message: "is not valid JSON: it ends too early, at byte 5"}},
		{"a broken template", connectors.Connector{BaseURL: "https://${v}"}, `{}`, schema.FieldError{Message: `the template of the URL may contain "${" only in "${config.<dotted path>}"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rt, err := tt.connector.Resolve([]byte(tt.config))
			failure, ok := errors.AsType[*connectors.Error](err)
			if !ok || failure.Code != connectors.CodeConnectorConfigInvalid || rt.BaseURL != "" || rt.Headers != nil {
				t.Fatalf("Resolve(%s) = %v, %v, want CONNECTOR_CONFIG_INVALID and nothing else", tt.config, revealed(rt), err)
			}
			if diff := cmp.Diff([]schema.FieldError{tt.want}, failure.Errors); diff != "" {
				t.Errorf("Resolve(%s) (-want +got):\n%s", tt.config, diff)
			}
		})
	}
}

// echo answers with the request's path, query and key header.
func echo(w http.ResponseWriter, r *http.Request) {
	if target := r.URL.Query().Get("to"); target != "" {
		http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		return
	}
	_, _ = io.WriteString(w, r.URL.RequestURI()+" key="+r.Header.Get("X-Key")+" referer="+r.Referer())
}

func TestTransportSendsCredentialsToTheProviderOnly(t *testing.T) {
	t.Parallel()
	provider, other := httptest.NewServer(http.HandlerFunc(echo)), httptest.NewServer(http.HandlerFunc(echo))
	defer provider.Close()
	defer other.Close()
	rt := connectors.Runtime{
		BaseURL: strings.ToUpper(provider.URL[:4]) + provider.URL[4:] + "/v1",
		Headers: map[string]connectors.Secret{"x-key": newSecret(t, "canary-7f3a")},
		Query:   map[string]connectors.Secret{"token": newSecret(t, "can ary&7f3a")},
	}
	client := &http.Client{Transport: connectors.NewTransport(nil, rt)}
	defer client.CloseIdleConnections()
	const query = "token=can+ary%267f3a"
	tests := []struct{ name, url, want string }{
		{"the provider", provider.URL + "/v1/a", "/v1/a?" + query + " key=canary-7f3a referer="},
		{"beside the base path", provider.URL + "/b", "/b?" + query + " key=canary-7f3a referer="},
		{"with parameters", provider.URL + "/a?z=%41&token=mine&b;=1", "/a?z=%41&b;=1&" + query + " key=canary-7f3a referer="},
		{"another host", other.URL + "/a?b=1", "/a?b=1 key= referer="},
		{"redirected to another host", provider.URL + "/a?to=" + url.QueryEscape(other.URL+"/stolen"), "/stolen key= referer=" + provider.URL + "/a?to=" + url.QueryEscape(other.URL+"/stolen")},
		{"redirected within", provider.URL + "/a?to=/b", "/b?" + query + " key=canary-7f3a referer=" + provider.URL + "/a?to=/b"},
		{"redirected by another host", other.URL + "/a?to=" + url.QueryEscape(provider.URL+"/b"), "/b?" + query + " key=canary-7f3a referer=" + other.URL + "/a?to=" + url.QueryEscape(provider.URL+"/b")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != tt.want {
				t.Errorf("the server saw %q, want %q", body, tt.want)
			}
			if seen := response.Request; seen.Header.Get("X-Key") != "" || strings.Contains(seen.URL.RawQuery, "7f3a") {
				t.Errorf("the response shows the credentials: %v %v", seen.URL, seen.Header)
			}
			if request.Header.Get("X-Key") != "" || strings.Contains(request.URL.RawQuery, "7f3a") {
				t.Error("the request was changed")
			}
		})
	}
}

// recorder stores the last request.
type recorder struct {
	last   *http.Request
	closed bool
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.last = request
	return nil, errors.New("refused")
}

func (r *recorder) CloseIdleConnections() { r.closed = true }

func TestTransportComparesOrigins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, url string
		want      bool
	}{
		{"https://api.example/v1", "https://api.example/", true},
		{"https://api.example", "https://API.EXAMPLE:443/x", true},
		{"http://api.example:80", "http://api.example/x", true},
		{"https://api.example", "http://api.example/", false},
		{"https://api.example", "https://api.example:8443/", false},
		{"https://api.example", "https://api.example.evil.example/", false},
		{"https://api.example", "https://evil.example/api.example", false},
		{"https://api.example", "ftp://api.example/", false},
		{"", "https://api.example/", false},
		{"", "/relative", false},
		{"http://[::1]:9", "http://[::1]:9/", true},
	}
	for _, tt := range tests {
		base := &recorder{}
		runtime := connectors.Runtime{BaseURL: tt.base, Headers: map[string]connectors.Secret{"X-Key": newSecret(t, "k")}}
		rt := connectors.NewTransport(base, runtime)
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.RoundTrip((&http.Request{URL: u, Header: http.Header{}}).WithContext(t.Context())); err == nil || err.Error() != "refused" {
			t.Errorf("err = %v, want that of the base", err)
		}
		if got := base.last.Header.Get("X-Key") != ""; got != tt.want {
			t.Errorf("base %q, request %q: credentials %v, want %v", tt.base, tt.url, got, tt.want)
		}
		if got := runtime.SameOrigin(u); got != tt.want {
			t.Errorf("base %q: SameOrigin(%q) = %v, want %v", tt.base, tt.url, got, tt.want)
		}
		(&http.Client{Transport: rt}).CloseIdleConnections()
		if !base.closed {
			t.Error("idle connections of the base stay open")
		}
	}
}
