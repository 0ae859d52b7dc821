package connection_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
	"github.com/hawser-io/hawser/pkg/secret"
)

func request(identity, id string) events.Action {
	return events.Action{ID: id, ActionRef: events.ActionRef{Tenant: events.Tenant{Scope: "user", Identity: identity}, Connector: "shop", Action: "charge"}}
}

func TestOfManyClaimsOneStands(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		claims := records.NewClaims(w.buckets)
		holders := make([]string, 16)
		for _, err := range atOnce(len(holders), func(i int) (err error) {
			holders[i], err = claims.Acquire(t.Context(), request("ava", "r1"), fmt.Sprint("executor ", i))
			return err
		}) {
			must(t, err)
		}
		for i, holder := range holders {
			if holder != holders[0] {
				t.Errorf("%d got %s, another %s", i, holder, holders[0])
			}
		}
		for _, other := range []events.Action{request("ava", "r2"), request("bob", "r1"), request("ava", strings.Repeat("long ", 100)), request("a*", "r.1")} {
			if got, err := claims.Acquire(t.Context(), other, "me"); err != nil || got != "me" {
				t.Errorf("%s of %s is claimed by %s, %v", other.ID, other.Identity, got, err)
			}
		}
		must(t, claims.Release(t.Context(), request("ava", "r1")))
		must(t, claims.Release(t.Context(), request("ava", "r1")))
		if got, err := claims.Acquire(t.Context(), request("ava", "r1"), "next"); err != nil || got != "next" {
			t.Errorf("after the release it is claimed by %s, %v", got, err)
		}
	})
}

func TestAClaimThatIsGivenBackWhileItIsLookedAtIsTaken(t *testing.T) {
	t.Parallel()
	bucket := &wrapped{Store: memkv.New(nil)}
	claims := records.NewClaims(records.Buckets{Claims: bucket})
	must(t, ignored(claims.Acquire(t.Context(), request("ava", "r"), "first")))
	var once sync.Once
	bucket.latest = func(ctx context.Context, key string) (kvstore.Entry, error) {
		once.Do(func() { must(t, claims.Release(ctx, request("ava", "r"))) })
		return bucket.Store.Get(ctx, key)
	}
	if got, err := claims.Acquire(t.Context(), request("ava", "r"), "second"); err != nil || got != "second" {
		t.Errorf("it is claimed by %s, %v, want second", got, err)
	}
}

func TestAClaimOutlivesTheResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		claims := records.NewClaims(records.Buckets{Claims: memkv.New(nil)})
		must(t, ignored(claims.Acquire(t.Context(), request("ava", "r"), "first")))
		time.Sleep(25 * time.Hour)
		if got, err := claims.Acquire(t.Context(), request("ava", "r"), "second"); err != nil || got != "first" {
			t.Errorf("a day later it is claimed by %s, %v, want first", got, err)
		}
		time.Sleep(72 * time.Hour)
		if got, err := claims.Acquire(t.Context(), request("ava", "r"), "third"); err != nil || got != "third" {
			t.Errorf("in the end it is claimed by %s, %v, want third", got, err)
		}
	})
}

func TestClaimsSayWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	bucket := &wrapped{Store: memkv.New(nil), write: func(_, _ string, _ func() error) error { return kvstore.ErrUnavailable }}
	claims := records.NewClaims(records.Buckets{Claims: bucket})
	_, err := claims.Acquire(t.Context(), request("ava", "r"), "me")
	wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
	wantCode(t, claims.Release(t.Context(), request("ava", "r")), connectors.CodeConnectorDatabaseFailed)
}

func TestATokenIsKnownByItsHashOnly(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		tokens := records.NewAPITokens(w.buckets)
		run(t, tokens.Run)
		token, other := records.NewAPIToken(), records.NewAPIToken()
		if !strings.HasPrefix(token.Reveal(), "hwt_") || len(token.Reveal()) < 40 || token.Equal(other) {
			t.Errorf("a token has %d bytes", len(token.Reveal()))
		}
		wantCode(t, tokens.Check(t.Context(), token), connectors.CodeUnauthenticated)
		must(t, tokens.Add(t.Context(), token, "admin"))
		must(t, tokens.Add(t.Context(), token, "again"))
		for range 3 {
			must(t, tokens.Check(t.Context(), token))
		}
		for _, wrong := range []string{"", "x", other.Reveal(), token.Reveal() + " ", token.Reveal()[:20]} {
			wantCode(t, tokens.Check(t.Context(), secret.New(wrong)), connectors.CodeUnauthenticated)
		}
		for key, value := range w.everything() {
			if containsAny(key+value, token.Reveal()) {
				t.Errorf("%s = %s holds the token", key, value)
			}
			if name, ok := strings.CutPrefix(key, "tokens/"); ok { // revoked
				must(t, w.bare["tokens"].Delete(t.Context(), name, 0))
			}
		}
		testenv.Eventually(t, "the token to be refused", func() bool { return tokens.Check(t.Context(), token) != nil })
		wantCode(t, tokens.Check(t.Context(), token), connectors.CodeUnauthenticated)
	})
}

func TestTokensSayWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	bucket := &wrapped{Store: memkv.New(nil), write: func(_, _ string, _ func() error) error { return kvstore.ErrUnavailable }}
	bucket.latest = func(context.Context, string) (kvstore.Entry, error) { return kvstore.Entry{}, kvstore.ErrUnavailable }
	tokens := records.NewAPITokens(records.Buckets{APITokens: bucket})
	wantCode(t, tokens.Check(t.Context(), secret.New("x")), connectors.CodeConnectorDatabaseFailed)
	wantCode(t, tokens.Add(t.Context(), secret.New("x"), "x"), connectors.CodeConnectorDatabaseFailed)
}
