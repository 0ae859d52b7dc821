package connection_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
)

func TestTokensOfOlderVersionsAreAdmins(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		tokens := records.NewAPITokens(w.buckets)
		run(t, tokens.Run)
		token, second := records.NewAPIToken(), records.NewAPIToken()
		must(t, tokens.Add(t.Context(), token, "admin"))
		must(t, tokens.Add(t.Context(), second, "admin"))
		known, err := tokens.Find(t.Context(), token)
		if err != nil || known.Role != records.RoleAdmin || known.Name != "admin" {
			t.Errorf("%+v, %v", known, err)
		}
		if known, err := tokens.Find(t.Context(), second); err != nil || known.Name == "admin" {
			t.Errorf("a second token with the name: %+v, %v", known, err)
		}
		// Once revoked, it is not added again.
		must(t, tokens.Revoke(t.Context(), "admin"))
		must(t, tokens.Add(t.Context(), token, "admin"))
		wantCode(t, tokens.Check(t.Context(), token), connectors.CodeUnauthenticated)
		must(t, tokens.Check(t.Context(), second))
	})
}

func TestATokenExpires(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		tokens := records.NewAPITokens(w.buckets)
		run(t, tokens.Run)
		soon := time.Now().Add(300 * time.Millisecond)
		token, err := tokens.Create(t.Context(), records.APIToken{Name: "x", Role: records.RoleRead, ExpiresAt: &soon})
		must(t, err)
		must(t, tokens.Check(t.Context(), token))
		testenv.Eventually(t, "the token to expire", func() bool { return tokens.Check(t.Context(), token) != nil })
		all, err := tokens.List(t.Context())
		if err != nil || len(all) != 1 || !all[0].Expired || all[0].LastUsedAt == nil {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
