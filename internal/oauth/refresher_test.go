package oauth_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestARefresherRenewsBeforeATokenExpires(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.runRefresher(t)
	g := in.grant(grant) // of an hour, with a minute left: beyond its margin
	g.IssuedAt, g.ExpiresAt = time.Now().Add(-59*time.Minute), time.Now().Add(2*time.Minute)
	must(t, in.front.Grants.Save(t.Context(), g))
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, time.Now()))
	testenv.Eventually(t, "the refresh", func() bool { return in.grant(grant).Generation == 2 })
	if got := stats(t, p); got.Refreshes != 1 {
		t.Errorf("provider counted %+v, want one refresh", got)
	}
	testenv.Eventually(t, "the next timer, and no due message left", func() bool {
		due, set := in.timers(t)
		return due == 0 && set == 1
	})
}

func TestATimerOfAGrantThatIsNotDueRefreshesNothing(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.runRefresher(t)
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, time.Now()))
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), "organization.nobody.none.0", time.Now()))
	testenv.Eventually(t, "both timers to be seen, and the true one to be set again", func() bool {
		due, set := in.timers(t)
		return due == 0 && set == 1
	})
	if got := stats(t, p); got.Refreshes != 0 {
		t.Errorf("provider counted %+v, want no refresh", got)
	}
}

func TestALostTimerIsSetAgain(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	grant := in.connectDemo()
	n := in.runRefresher(t)
	in.expire(grant) // its timer is an hour ahead, as if it were lost
	sweeper := refresherOf(n, nil)
	healed, err := sweeper.Heal(t.Context())
	must(t, err)
	if healed != 1 {
		t.Errorf("set %d timers, want 1", healed)
	}
	testenv.Eventually(t, "the refresh", func() bool { return in.grant(grant).Generation == 2 })
}

func TestATransientFailureIsRetriedLater(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	in.expire(grant)
	fault(t, p, "token", "500", 2)
	in.runRefresher(t)
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, time.Now()))
	testenv.Eventually(t, "the third try", func() bool { return in.grant(grant).Generation == 2 })
	if got := stats(t, p); got.Refreshes != 1 || got.Reuses != 0 {
		t.Errorf("provider counted %+v, want one refresh", got)
	}
}

func TestAnExpiringRefreshTokenIsPublishedOnce(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	grant := in.connectDemo()
	g := in.grant(grant)
	g.RefreshExpires = time.Now().Add(3 * 24 * time.Hour)
	must(t, in.front.Grants.Save(t.Context(), g))
	in.runRefresher(t)
	for range 2 {
		must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, time.Now()))
		testenv.Eventually(t, "the timer to be seen", func() bool {
			_, set := in.timers(t)
			return set == 1 && in.grant(grant).ExpiryWarned
		})
	}
	published := in.eventsOf(events.OAuthExpiring)
	if len(published) != 1 {
		t.Fatalf("oauth.expiring was published %d times, want once", len(published))
	}
	follow := func() (status int, to string) {
		status, to, _ = testenv.NewBrowser(t).Get(published[0].URL)
		return status, to
	}
	status, start := follow()
	if status != http.StatusSeeOther {
		t.Fatalf("its link: got %d, want 303: the connection still works, and the user shall come in time", status)
	}
	b := testenv.NewBrowser(t)
	if status, _, body := b.Get(in.consent(b, start, approve)); status != http.StatusOK {
		t.Fatalf("by its link: got %d %s", status, body)
	}
	if status, _ := follow(); status != http.StatusBadRequest {
		t.Errorf("its link once more: got %d, want 400", status)
	}
}

// storeDue stores an expired grant without a connection, whose timer fires now.
func (in *installation) storeDue(t *testing.T, connector string, i int) (grant string) {
	t.Helper()
	g := in.front.Grants.New(records.GrantKey(acme, connector, "demo-client", strconv.Itoa(i)))
	g.Scope, g.Identity, g.Family, g.Connector = acme.Scope, acme.Identity, connector, connector
	g.Generation, g.IssuedAt, g.ExpiresAt = 1, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	must(t, in.front.Grants.Seal(g, records.GrantTokens{Access: secret.New("a"), Refresh: secret.New("r")}))
	must(t, in.front.Grants.Save(t.Context(), g))
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), g.Key(), time.Now()))
	return g.Key()
}

// Many due grants of one provider must not exceed their max deliveries while they wait,
// nor the provider's concurrency limit.
func TestManyDueGrantsAreRenewedWithinTheProvidersLimit(t *testing.T) {
	t.Parallel()
	const grants, atOnce = 24, 2
	var calls, running, most atomic.Int64
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		now := running.Add(1)
		defer running.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		timer := time.NewTimer(20 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		_, _ = io.WriteString(w, `{"access_token":"new-access","refresh_token":"new-refresh","expires_in":3600}`)
	}))
	in := installWithApp(t, nil, oauthConnector("flood", server, nil))
	var keys []string
	for i := range grants {
		keys = append(keys, in.storeDue(t, "flood", i))
	}
	n := in.front.Join(t)
	r := refresherOf(n, &refresher.Options{Concurrency: 16, PerProvider: atOnce})
	run(t, func(ctx context.Context) error { return r.Run(ctx, context.WithoutCancel(ctx), func() {}) })
	testenv.Eventually(t, "every grant to be renewed", func() bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return in.grant(key).Generation != 2 })
	})
	if got := calls.Load(); got != grants {
		t.Errorf("the provider was called %d times, want %d", got, grants)
	}
	if got := most.Load(); got != atOnce {
		t.Errorf("the provider was called %d times at once, want %d: no more, and no less while more is due", got, atOnce)
	}
}

// A refresher may have read the grant before it acquired the lease.
func TestAGrantThatWasRenewedMeanwhileIsNotRenewedAgain(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	old := in.expire(grant)
	_, err := in.front.Join(t).OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	g, err := in.front.OAuth.Source.RenewIfDue(t.Context(), old, nil)
	must(t, err)
	if got := stats(t, p); g.Generation != 2 || got.Refreshes != 1 || got.Reuses != 0 {
		t.Errorf("got generation %d, provider counted %+v; want what the first has stored, by one refresh", g.Generation, got)
	}
}

// A process that waits for a slot until its lease no longer covers the call releases the
// lease and sends nothing.
func TestALongWaitForASlotReleasesTheLease(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, &options{CallTimeout: time.Second})
	grant := in.connectDemo()
	g := in.expire(grant)
	waits := 0
	g, err := in.front.OAuth.Source.RenewIfDue(t.Context(), g, func(ctx context.Context) (func(), error) {
		if waits++; waits == 1 {
			<-ctx.Done()
			if got := stats(t, p); got.Refreshes != 0 {
				t.Errorf("while it waited the provider counted %+v", got)
			}
			return nil, ctx.Err()
		}
		return func() {}, nil
	})
	must(t, err)
	if got := stats(t, p); waits != 2 || g.Generation != 2 || got.Refreshes != 1 {
		t.Errorf("got %d slots, generation %d, provider counted %+v; want a second slot, and one refresh", waits, g.Generation, got)
	}
}
