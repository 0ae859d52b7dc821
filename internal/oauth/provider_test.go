package oauth_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

func demoConnectors(p *demo.Provider) []connectors.Connector { return demo.Connectors(p.URL()) }

// oauthConnector returns a connector for an authorization server with the demo's paths.
func oauthConnector(key, server string, change func(*connectors.OAuth2)) connectors.Connector {
	o := &connectors.OAuth2{
		AuthorizationURL: server + "/authorize", TokenURL: server + "/token", UserInfoURL: server + "/userinfo",
		RevocationURL: server + "/revoke", Scopes: []string{"read", "profile"},
	}
	if change != nil {
		change(o)
	}
	return connectors.Connector{
		Key: key, Config: schema.For[struct {
			Site string `json:"site,omitempty"`
		}](), BaseURL: server, Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: o},
		Actions: []connectors.Action{connectors.NewAction("get", get, &connectors.ActionOptions{Idempotent: true})},
	}
}

// validateNothing stands for code that asks the provider for the account of a config.
func validateNothing(context.Context, *connectors.Call) error { return nil }

func get(ctx context.Context, call *connectors.Call, _ struct{}) (struct{}, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, call.BaseURL+"/api/me", nil)
	if err != nil {
		return struct{}{}, err
	}
	resp, err := call.HTTP.Do(req)
	if err != nil {
		return struct{}{}, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return struct{}{}, &connectors.ProviderError{Status: resp.StatusCode}
	}
	return struct{}{}, nil
}

// clock is a clock that the test moves.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func newClock() *clock { return &clock{} }

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) options() *options { return &options{Now: c.now} }

func optionsWithReturn(allowed string) *options {
	return &options{ReturnURLs: []string{allowed}}
}

// slowProxy is a proxy to a provider that delays requests for one path until wait
// returns.
func slowProxy(t testing.TB, provider, path string, wait func()) string {
	t.Helper()
	target, err := url.Parse(provider)
	must(t, err)
	quiet := log.New(io.Discard, "", 0) // it is meant to have clients that time out
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: quiet}
	return newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			wait()
		}
		proxy.ServeHTTP(w, r)
	}))
}
