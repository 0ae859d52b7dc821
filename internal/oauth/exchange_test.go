package oauth_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// longLived is a provider whose code yields a token of an hour, which is exchanged for
// one of sixty days, and that for the next while it is valid.
type longLived struct {
	mu    sync.Mutex
	asked []string
	n     int
	over  bool
}

func (l *longLived) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = r.ParseForm()
	grant := r.FormValue("grant_type")
	asked := r.Method + " " + r.URL.Path + " " + grant
	if grant == "authorization_code" {
		_, _ = w.Write([]byte(`{"access_token":"short","user_id":"u1","expires_in":3600}`))
	} else {
		for _, name := range []string{"client_id", "client_secret", "access_token"} {
			if r.URL.Query().Has(name) {
				asked += " " + name + "=" + r.URL.Query().Get(name)
			}
		}
		if len(r.PostForm) > 0 || r.Header.Get("Authorization") != "" || l.over {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"type":"OAuthException","code":190}}`))
		} else {
			l.n++
			_, _ = fmt.Fprintf(w, `{"access_token":"long-%d","expires_in":5184000}`, l.n)
		}
	}
	l.asked = append(l.asked, asked)
}

func (l *longLived) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

func TestATokenWithoutARefreshTokenIsExchanged(t *testing.T) {
	t.Parallel()
	provider := &longLived{}
	server := newServer(t, provider)
	in := installWithApp(t, nil, oauthConnector("photos", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL, o.TokenFields = "", "", map[string]string{"account": "user_id"}
		o.Exchange = &connectors.Exchange{URL: server + "/access_token", Method: http.MethodGet, GrantType: "ig_exchange_token", TokenParam: "access_token", Omit: []string{"client_id"}}
		o.Renewal = &connectors.Exchange{URL: server + "/refresh_access_token", Method: http.MethodGet, GrantType: "ig_refresh_token", TokenParam: "access_token", Omit: []string{"client_id", "client_secret"}}
	}))
	in.connectWithCode("photos")
	c := in.connection("photos", "")
	g := in.grant(c.Grant)
	if left := time.Until(g.ExpiresAt); g.Account != "u1" || left < 59*24*time.Hour {
		t.Errorf("the grant is of %q and has %s left, want the account of the first reply and the life of the second", g.Account, left)
	}
	// An hour later the token is not due; six days before its expiry it is.
	age := func(left time.Duration) {
		for {
			g = in.grant(c.Grant)
			g.IssuedAt, g.ExpiresAt, g.RetryAt = time.Now().Add(left-60*24*time.Hour), time.Now().Add(left), time.Time{}
			if in.front.Grants.Save(t.Context(), g) == nil {
				return
			}
		}
	}
	for _, left := range []time.Duration{60*24*time.Hour - time.Hour, 6 * 24 * time.Hour} {
		age(left)
		_, err := in.front.OAuth.Source.RenewIfDue(t.Context(), in.grant(c.Grant), nil)
		must(t, err)
	}
	want := []string{
		"POST /token authorization_code",
		"GET /access_token ig_exchange_token client_secret=demo-secret access_token=short",
		"GET /refresh_access_token ig_refresh_token access_token=long-1",
	}
	if diff := cmp.Diff(want, provider.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
	// While the token is valid, a refusal is retried; after its expiry it is final.
	provider.mu.Lock()
	provider.over = true
	provider.mu.Unlock()
	age(time.Hour)
	if _, err := in.front.OAuth.Source.RenewIfDue(t.Context(), in.grant(c.Grant), nil); err == nil || in.grant(c.Grant).State != records.GrantLive {
		t.Errorf("refused while it is good: got %v, the grant is %s; want an error, and a live grant", err, in.grant(c.Grant).State)
	}
	age(-time.Hour)
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant); err == nil || in.grant(c.Grant).State != records.GrantRevoked {
		t.Errorf("refused after its end: got %v, the grant is %s; want that it needs a new authorisation", err, in.grant(c.Grant).State)
	}
}

func TestAnExchangeRequestFollowsTheDefinition(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		with func(o *connectors.OAuth2)
		want request
	}{{
		name: "RFC 8693",
		with: func(o *connectors.OAuth2) {
			o.Exchange = &connectors.Exchange{Params: map[string]string{"audience": "a"}}
		},
		want: request{Path: "/token", Kind: "application/x-www-form-urlencoded", Params: map[string]string{
			"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "tok", "audience": "a", "client_id": "demo-client", "client_secret": "demo-secret"}},
	}, {
		name: "by GET",
		with: func(o *connectors.OAuth2) {
			o.Exchange = &connectors.Exchange{URL: o.TokenURL + "/long", Method: http.MethodGet, GrantType: "fb_exchange_token", TokenParam: "fb_exchange_token"}
		},
		want: request{Path: "/token/long", Params: map[string]string{
			"grant_type": "fb_exchange_token", "fb_exchange_token": "tok", "client_id": "demo-client", "client_secret": "demo-secret"}},
	}, {
		name: "renamed, as JSON, with the client in a header",
		with: func(o *connectors.OAuth2) {
			o.ClientAuth, o.TokenBody, o.ParamNames = connectors.ClientAuthBasic, connectors.TokenBodyJSON, map[string]string{"grant_type": "kind"}
			o.Exchange = &connectors.Exchange{GrantType: "long"}
		},
		want: request{Path: "/token", Kind: "application/json", Basic: "demo-client", Params: map[string]string{"kind": "long", "subject_token": "tok"}},
	}, {
		name: "without the client",
		with: func(o *connectors.OAuth2) {
			o.ClientAuth = connectors.ClientAuthBasic
			o.Exchange = &connectors.Exchange{GrantType: "long", Omit: []string{"client_id", "client_secret"}}
		},
		want: request{Path: "/token", Kind: "application/x-www-form-urlencoded", Params: map[string]string{"grant_type": "long", "subject_token": "tok"}},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			provider := &recorder{}
			in := installWithApp(t, nil, oauthConnector("p", newServer(t, provider), func(o *connectors.OAuth2) { o.UserInfoURL = ""; tc.with(o) }))
			if location := in.connectWithCode("p"); !strings.Contains(location, "status=success") {
				t.Fatalf("connect: got %s", location)
			}
			provider.mu.Lock()
			defer provider.mu.Unlock()
			if len(provider.asked) != 2 {
				t.Fatalf("the provider was asked %v, want the code and the exchange", provider.asked)
			}
			if diff := cmp.Diff(tc.want, provider.asked[1]); diff != "" {
				t.Errorf("the exchange (-want +got):\n%s", diff)
			}
		})
	}
}

// A failed exchange leaves no connection, and the first token is revoked.
func TestAfterAFailedExchangeTheFirstTokenIsRevoked(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") == "authorization_code" {
			_, _ = w.Write([]byte(`{"access_token":"short","expires_in":3600}`))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), func(o *connectors.OAuth2) {
		o.UserInfoURL, o.Exchange = "", &connectors.Exchange{}
	}))
	if location := in.connectWithCode("gone"); !strings.Contains(location, "CONNECTOR_OAUTH_TOKEN_FAILED") {
		t.Errorf("connect: got %s, want CONNECTOR_OAUTH_TOKEN_FAILED", location)
	}
	provider.revoked(t, "short")
}
