package oauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// connectAndRenew connects, lets the token expire, and returns the next one.
func (in *installation) connectAndRenew(t *testing.T, key string, config any) (access string) {
	t.Helper()
	path := "/scopes/organization/acme/connections/" + key
	if status, problem := in.call(http.MethodPut, path, map[string]any{"config": config}, nil); status != http.StatusCreated {
		t.Fatalf("connect: got %d %v, want 201; log:\n%s", status, &problem, in.front.Log)
	}
	c := in.connection(key, "")
	in.expire(c.Grant)
	token, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant)
	must(t, err)
	return token.Access.Reveal()
}

// A service account: a JWT for a user, signed by the client, is the grant (RFC 7523
// section 2.1), and is signed anew when the token has expired.
func TestAJWTOfTheClientIsTheGrant(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	s := &keyServer{public: &key.PublicKey, algorithm: "RS256", carried: "assertion"}
	in := s.start(t, connectors.AuthClientCredentials, func(o *connectors.OAuth2) {
		o.Mint = &connectors.Mint{GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", AssertionParam: "assertion"}
		o.Assertion = &connectors.Assertion{Claims: map[string]string{"sub": "${config.site}"}, ScopeClaim: "scope"}
		o.RevocationURL = ""
	}, pkcs8(t, key))
	if got := in.connectAndRenew(t, "keyed", map[string]any{"site": "una@example.com"}); got != "at-2" {
		t.Errorf("the token is %q, want the second", got)
	}
	s.report(t, "token urn:ietf:params:oauth:grant-type:jwt-bearer", "token urn:ietf:params:oauth:grant-type:jwt-bearer")
	if got := s.claims[1]; got["iss"] != "demo-client" || got["sub"] != "una@example.com" || got["scope"] != "read profile" {
		t.Errorf("the JWT says %v, want who asks, for whom, and for what", got)
	}
}

// An app's installation: the JWT is the bearer token of a request to a URL of the
// installation, which responds with 201 and a date.
func TestAJWTOfTheAppIsTheBearerToken(t *testing.T) {
	t.Parallel()
	key := rsaKey(t)
	s := &keyServer{public: &key.PublicKey, algorithm: "RS256", carried: "bearer"}
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var paths []string
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		paths = append(paths, r.Method+" "+r.URL.Path)
		body, _ := io.ReadAll(r.Body)
		if err := s.check(r, nil); err != nil || len(body) > 0 {
			s.faults = append(s.faults, fmt.Sprint(err, string(body)))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token":"ghs_%d","expires_at":"%s","permissions":{}}`, len(paths), end.Format(time.RFC3339))
	}))
	c := machine(server, func(o *connectors.OAuth2) {
		o.ClientAuth, o.Mint, o.Scopes, o.RevocationURL = connectors.ClientAuthKeyJWT, &connectors.Mint{}, nil, ""
		o.TokenURL = server + "/app/installations/${config.site}/access_tokens"
	})
	s.audience = server + "/app/installations/77/access_tokens"
	c.Validate = validateNothing
	in := install(t, nil, c)
	in.runExecutor(t)
	in.setApp("machine", records.App{ClientID: "1234", ClientSecrets: []secret.Text{secret.New(pkcs8(t, key))}})
	if got := in.connectAndRenew(t, "machine", map[string]any{"site": "77"}); got != "ghs_2" {
		t.Errorf("the token is %q, want the second; %q", got, s.faults)
	}
	if diff := cmp.Diff([]string{"POST /app/installations/77/access_tokens", "POST /app/installations/77/access_tokens"}, paths); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := s.claims[0]["iss"]; got != "1234" {
		t.Errorf("issued by %v, want the app", got)
	}
}

// The config's user and password are exchanged for a token at a path of the response,
// and again when it has expired.
func TestCredentialsOfTheConfigAreExchangedForAToken(t *testing.T) {
	t.Parallel()
	recorder := &recorder{reply: `{"data":{"session":{"jwt":"tok","ttl":"20 minutes"}}}`}
	server := newServer(t, recorder)
	c := machine(server, func(o *connectors.OAuth2) {
		o.ClientAuth, o.TokenBody, o.RevocationURL, o.Scopes = connectors.ClientAuthBody, connectors.TokenBodyJSON, "", nil
		o.ClientID, o.ClientSecret = "${config.user}", "${config.password}"
		o.ParamNames = map[string]string{"client_id": "username", "client_secret": "password", "grant_type": ""}
		o.TokenParams = map[string]string{"company": "${config.company}", "branch": "${config.branch}", "device": "hawser"}
		o.TokenFields = map[string]string{"access_token": "data.session.jwt", "expires_in": "data.session.ttl"}
		o.TokenHeader, o.TokenPrefix = "X-Session", ""
	})
	c.Config = schema.For[struct {
		User     string            `json:"user"`
		Password connectors.Secret `json:"password"`
		Company  string            `json:"company"`
		Branch   string            `json:"branch,omitempty"`
	}]()
	in := install(t, nil, c)
	in.connectAndRenew(t, "machine", map[string]any{"user": "una", "password": "p4ss", "company": "acme & co"})
	want := request{Path: "/token", Kind: "application/json", Params: map[string]string{"username": "una", "password": "p4ss", "company": "acme & co", "device": "hawser"}}
	if diff := cmp.Diff([]request{want, want}, recorder.asked); diff != "" {
		t.Errorf("what the provider was asked (-want +got):\n%s", diff)
	}
	conn := in.connection("machine", "")
	if got := in.grant(conn.Grant).Lifetime(); got.Round(time.Minute) != 20*time.Minute {
		t.Errorf("the token expires in %s, want 20m", got)
	}
	if strings.Contains(in.front.Log.String(), "p4ss") {
		t.Error("the password is in the log")
	}
}

// A tenant's own private key is accepted with its line breaks.
func TestAPrivateKeyOfTheConfigSigns(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := &keyServer{public: &key.PublicKey, algorithm: "ES256"}
	c := machine(newServer(t, s), func(o *connectors.OAuth2) {
		o.ClientAuth, o.RevocationURL = connectors.ClientAuthKeyJWT, ""
		o.ClientID, o.ClientSecret = "${config.id}", "${config.key}"
	})
	s.url = c.BaseURL
	c.Config = schema.For[struct {
		ID  string            `json:"id"`
		Key connectors.Secret `json:"key"`
	}]()
	in := install(t, nil, c)
	in.connectAndRenew(t, "machine", map[string]any{"id": "demo-client", "key": pkcs8(t, key)})
	s.report(t, "token client_credentials", "token client_credentials")
}

// A request in a form that a definition cannot express is made by code, at connecting
// and again when the token has expired.
func TestATokenIsRequestedByCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		mint func(context.Context, *connectors.MintRequest) (json.RawMessage, error)
		code connectors.Code
	}{
		{"given", func(ctx context.Context, m *connectors.MintRequest) (json.RawMessage, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, strings.NewReader(string(m.Config)))
			if err != nil {
				return nil, err
			}
			req.Header.Set("X-Signature", m.ClientID+":"+m.ClientSecret.Reveal()+":"+strings.Join(m.Scopes, ","))
			resp, err := m.HTTP.Do(req)
			if err != nil {
				return nil, err
			}
			defer func() { _ = resp.Body.Close() }()
			return io.ReadAll(resp.Body)
		}, ""},
		{"refused", func(context.Context, *connectors.MintRequest) (json.RawMessage, error) {
			return nil, connectors.Permanent(errors.New("the shop has removed the app"))
		}, connectors.CodeConnectorOAuthTokenFailed},
		{"thrown", func(context.Context, *connectors.MintRequest) (json.RawMessage, error) { panic("c4n4ry") }, connectors.CodeConnectorOAuthTokenFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := r.Header.Get("X-Signature"); got != "demo-client:demo-secret:read,profile" || string(body) != `{"site":"shop"}` {
					t.Errorf("the provider got %q with %s", got, body)
				}
				asked++
				_, _ = fmt.Fprintf(w, `{"access_token":"code-%d","expires_in":3600}`, asked)
			}))
			c := machine(server, func(o *connectors.OAuth2) { o.MintToken, o.RevocationURL = tc.mint, "" })
			c.Validate = validateNothing
			in := install(t, nil, c)
			in.runExecutor(t)
			in.setApp("machine", demoApp)
			if tc.code != "" {
				if _, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/machine", map[string]any{}, nil); problem.Code != tc.code {
					t.Errorf("got %v, want %s", &problem, tc.code)
				}
				return
			}
			if got := in.connectAndRenew(t, "machine", map[string]any{"site": "shop"}); got != "code-2" {
				t.Errorf("the token is %q, want the second", got)
			}
			in.front.Registry = connectors.NewRegistry() // of a program without the code
			conn := in.connection("machine", "")
			in.expire(conn.Grant)
			if _, err := in.front.Join(t).OAuth.Source.Fresh(t.Context(), conn.Grant); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
				t.Errorf("without the code: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
			}
		})
	}
}

// The provider requires a signature of its own over the body of each token request.
func TestTokenRequestsAreSignedByCode(t *testing.T) {
	t.Parallel()
	var grants []string
	signature := func(key, when string, body []byte) string {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = fmt.Fprintf(mac, "%s\n%s", when, body)
		return hex.EncodeToString(mac.Sum(nil))
	}
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if want := signature("demo-secret", r.Header.Get("X-When"), body); r.Header.Get("X-Sign") != want || len(body) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var request struct {
			Grant string `json:"grant_type"`
		}
		_ = json.Unmarshal(body, &request)
		grants = append(grants, request.Grant)
		_, _ = io.WriteString(w, `{"access_token":"tok","refresh_token":"r","expires_in":3600}`)
	}))
	in := install(t, nil, oauthConnector("signed", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL, o.TokenBody = "", "", connectors.TokenBodyJSON
		o.SignToken = func(r *http.Request, body []byte, clientSecret connectors.Secret) error {
			when := fmt.Sprint(time.Now().UnixMilli())
			r.Header.Set("X-When", when)
			r.Header.Set("X-Sign", signature(clientSecret.Reveal(), when, body))
			return nil
		}
	}))
	in.setApp("signed", records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New("not yet known"), secret.New("demo-secret")}})
	if location := in.connectWithCode("signed"); !strings.Contains(location, "status=success") {
		t.Fatalf("connect: %s", location)
	}
	const path = "/scopes/organization/acme/connections/signed"
	if status, problem := in.call(http.MethodPost, path+"/refresh", nil, nil); status != http.StatusOK {
		t.Fatalf("refresh: got %d %v", status, &problem)
	}
	if diff := cmp.Diff([]string{"authorization_code", "refresh_token"}, grants); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	in.front.Registry = connectors.NewRegistry() // of a program without the code
	c := in.connection("signed", "")
	in.expire(c.Grant)
	if _, err := in.front.Join(t).OAuth.Source.Fresh(t.Context(), c.Grant); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		t.Errorf("without the code: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
	}
}

// A login in XML, with attributes, a namespace, and characters that XML has to escape,
// is read by the standard library's decoder.
func TestCredentialsAreExchangedInXML(t *testing.T) {
	t.Parallel()
	type login struct {
		XMLName     xml.Name `xml:"https://x.example/api tsRequest"`
		Credentials struct {
			Name     string `xml:"name,attr"`
			Password string `xml:"password"`
			Site     struct {
				URL string `xml:"url,attr"`
			} `xml:"site"`
		} `xml:"credentials"`
	}
	var got []login
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in login
		if err := xml.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/xml" || !strings.Contains(r.Header.Get("Accept"), "application/xml") {
			t.Errorf("got %v of type %q, accepting %q", err, r.Header.Get("Content-Type"), r.Header.Get("Accept"))
		}
		got = append(got, in)
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, `<tsResponse xmlns="https://x.example/api"><credentials token="tok" estimatedTimeToExpiration="30 min"/></tsResponse>`)
	}))
	c := machine(server, func(o *connectors.OAuth2) {
		o.ClientAuth, o.RevocationURL, o.Scopes = connectors.ClientAuthBody, "", nil
		o.TokenBody, o.TokenRoot = connectors.TokenBodyXML, "tsRequest"
		o.ParamNames = map[string]string{"client_id": "credentials.@name", "client_secret": "credentials.password", "grant_type": ""}
		o.TokenParams = map[string]string{"@xmlns": "https://x.example/api", "credentials.site.@url": "${config.site}"}
		o.TokenFields = map[string]string{"access_token": "credentials.@token", "expires_in": "credentials.@estimatedTimeToExpiration"}
	})
	c.Validate = validateNothing
	in := install(t, nil, c)
	in.runExecutor(t)
	in.setApp("machine", records.App{ClientID: `una "<b>"`, ClientSecrets: []secret.Text{secret.New("p&<>]]>")}})
	if access := in.connectAndRenew(t, "machine", map[string]any{"site": "a&b"}); access != "tok" || len(got) != 2 {
		t.Fatalf("the token is %q after %d requests", access, len(got))
	}
	if c := got[1].Credentials; c.Name != `una "<b>"` || c.Password != "p&<>]]>" || c.Site.URL != "a&b" {
		t.Errorf("the provider read %+v", c)
	}
	conn := in.connection("machine", "")
	if life := in.grant(conn.Grant).Lifetime().Round(time.Minute); life != 30*time.Minute {
		t.Errorf("the token expires in %s, want 30m", life)
	}
}
