package oauth_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// leave removes the record of the connection only, like a process that ends before it
// releases the grant.
func (in *installation) leave(t *testing.T, r records.Ref) {
	t.Helper()
	_, err := in.front.Service.Disconnect(t.Context(), r)
	must(t, err)
}

// Orphans of grants that are never refreshed are removed by the sweep.
func TestAnOrphanedGrantThatIsNeverRefreshedIsRemoved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*records.Grant, records.GrantTokens) records.GrantTokens
		revoked []string
	}{
		"revoked": {func(g *records.Grant, old records.GrantTokens) records.GrantTokens {
			g.State = records.GrantRevoked
			return old
		}, nil},
		"without an end": {func(g *records.Grant, old records.GrantTokens) records.GrantTokens {
			g.ExpiresAt = time.Time{}
			return old
		}, []string{"old-refresh"}},
		"without a refresh token": {func(g *records.Grant, old records.GrantTokens) records.GrantTokens {
			g.ExpiresAt = time.Now().Add(time.Hour)
			return records.GrantTokens{Access: old.Access}
		}, []string{"old-access"}},
		"a companion whose main grant is gone": {func(g *records.Grant, _ records.GrantTokens) records.GrantTokens {
			g.ExpiresAt, g.MainGrant = time.Time{}, records.GrantKey(acme, "gone", "demo-client", "nobody")
			return records.GrantTokens{}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := newRevoker()
			in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), nil))
			grant := in.storeExpired(t, "gone")
			g := in.grant(grant)
			must(t, in.front.Grants.Seal(g, tc.change(g, records.GrantTokens{Access: secret.New("old-access"), Refresh: secret.New("old-refresh")})))
			must(t, in.front.Grants.Save(t.Context(), g))
			sweeper := refresherOf(in.front, nil)
			_, err := sweeper.Heal(t.Context())
			must(t, err)
			if in.deleted(grant) {
				t.Fatal("the grant of a connection was removed")
			}
			in.leave(t, records.NewRef(acme, "gone", ""))
			_, err = sweeper.Heal(t.Context())
			must(t, err)
			testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(grant) })
			provider.revoked(t, tc.revoked...)
		})
	}
}

// A grant without a connection cannot be refreshed where the token endpoint's URL needs
// the config; a revoked one never is.
func TestATokenRequestRemovesAnOrphanedGrant(t *testing.T) {
	t.Parallel()
	for name, revoked := range map[string]bool{"at a URL of the config": false, "revoked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, newRevoker())
			in := installWithApp(t, nil, oauthConnector("gone", server, func(o *connectors.OAuth2) {
				if !revoked {
					o.TokenURL = server + "/${config.site}"
				}
			}))
			grant := in.storeExpired(t, "gone")
			if g := in.grant(grant); revoked {
				g.State = records.GrantRevoked
				must(t, in.front.Grants.Save(t.Context(), g))
			}
			in.leave(t, records.NewRef(acme, "gone", ""))
			if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil {
				t.Error("got a token of an orphaned grant")
			}
			testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(grant) })
		})
	}
}

// A connection that has another grant now has the config of that one.
func TestARefreshUsesTheConfigOfAReferencingConnection(t *testing.T) {
	t.Parallel()
	provider := &recorder{}
	server := newServer(t, provider)
	in := installWithApp(t, &options{CallTimeout: 5 * time.Second}, oauthConnector("gone", server, func(o *connectors.OAuth2) {
		o.TokenURL, o.RevocationURL = server+"/${config.site}", ""
	}))
	grant := in.storeExpired(t, "gone")
	first, second := records.NewRef(acme, "gone", ""), records.NewRef(acme, "gone", "second")
	reference := records.NewGrantReference(second, time.Now())
	g := in.grant(grant)
	g.AddReference(reference)
	must(t, in.front.Grants.Save(t.Context(), g))
	for r, input := range map[records.Ref]connection.AuthorizeInput{
		first:  {Grant: records.GrantKey(acme, "gone", "demo-client", "another"), GrantReference: "another", Replace: true, Config: []byte(`{"site":"left"}`)},
		second: {Grant: grant, GrantReference: reference.ID, Config: []byte(`{"site":"right"}`)},
	} {
		_, err := in.front.Service.Authorize(t.Context(), r, input)
		must(t, err)
	}
	_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	provider.mu.Lock()
	if len(provider.asked) != 1 || provider.asked[0].Path != "/right" {
		t.Errorf("asked %v, want once, at the second's site", provider.asked)
	}
	provider.mu.Unlock()
	testenv.Eventually(t, "the reference of the first to be removed", func() bool { return len(in.grant(grant).References) == 1 })
}
