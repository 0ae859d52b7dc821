package oauth_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// A grant is removed during its renewal. The new tokens are revoked, at the URL that the
// connection's config gave before.
func TestTokensForARemovedGrantAreRevoked(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	var begun atomic.Pointer[func()]
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		(*begun.Load())()
		_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"new-refresh","expires_in":3600}`))
	})
	server := newServer(t, provider)
	in := installWithApp(t, nil, oauthConnector("gone", server, func(o *connectors.OAuth2) { o.RevocationURL = server + "/${config.site}" }))
	grant := in.storeExpired(t, "gone")
	if status, problem := in.call(http.MethodPatch, onGone, map[string]any{"config": map[string]string{"site": "revoke"}}, nil); status != http.StatusOK {
		t.Fatalf("set the site: got %d %v", status, &problem)
	}
	begun.Store(new(func() {
		if _, err := in.front.Service.Disconnect(t.Context(), records.NewRef(acme, "gone", "")); err != nil {
			t.Error(err)
		}
		if err := in.front.Grants.Delete(t.Context(), in.grant(grant)); err != nil {
			t.Error(err)
		}
	}))
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil {
		t.Error("got a token of a removed grant")
	}
	provider.revoked(t, "new-refresh")
}

func TestTokensThatCannotBeStoredAreRevoked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*connectors.Connector){
		"a client's own": func(c *connectors.Connector) {
			c.Auth.Kind, c.Auth.OAuth2.AuthorizationURL = connectors.AuthClientCredentials, ""
		},
		"a user's": func(*connectors.Connector) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := newRevoker()
			provider.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"access_token":"new-access","expires_in":3600}`))
			})
			def := oauthConnector("gone", newServer(t, provider), func(o *connectors.OAuth2) { o.UserInfoURL = "" })
			change(&def)
			in := installWith(t, testenv.NodeOptions{Wrap: func(name string, s kvstore.Store) kvstore.Store {
				if name != "grants" {
					return s
				}
				full := func(string, string, func() error) error { return kvstore.ErrTooLarge }
				hook := &atomic.Pointer[func(string, string, func() error) error]{}
				hook.Store(&full)
				return hooked{s, hook}
			}}, nil, def)
			in.setApp("gone", demoApp)
			if def.Auth.Kind == connectors.AuthClientCredentials {
				if status, _ := in.call(http.MethodPut, onGone, map[string]any{}, nil); status/100 == 2 {
					t.Errorf("connect: got %d, want that it fails", status)
				}
			} else if location := in.connectWithCode("gone"); !strings.Contains(location, "status=error") {
				t.Errorf("connect: got %s, want that it fails", location)
			}
			provider.revoked(t, "new-access")
		})
	}
}
