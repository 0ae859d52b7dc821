package oauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/internal/testenv"
)

// A token is renewed a quarter of its lifetime before it expires, at most a quarter of
// an hour, and a tenth of that sooner or later, to spread the load. Each grant has one
// timer.
func TestTimersKeepTheirMarginAndSpread(t *testing.T) {
	t.Parallel()
	in := install(t, nil)
	for _, tc := range []struct{ life, margin time.Duration }{
		{24 * time.Hour, 15 * time.Minute}, {time.Hour, 15 * time.Minute}, {20 * time.Minute, 5 * time.Minute}, {time.Minute, 15 * time.Second},
	} {
		now := time.Now()
		var earliest, latest time.Duration
		for i := range 40 {
			g := in.front.Grants.New(records.GrantKey(acme, "timed", "client", tc.life.String()+strings.Repeat("x", i)))
			g.RefreshToken, g.IssuedAt, g.ExpiresAt = "there is one", now, now.Add(tc.life)
			for range 2 { // the second takes the place of the first
				must(t, in.front.OAuth.Scheduler.Schedule(t.Context(), g))
			}
			before := g.ExpiresAt.Sub(in.timer(t, g.Key()))
			if before < tc.margin*9/10-time.Second || before > tc.margin*11/10+time.Second {
				t.Errorf("a token of %s is renewed %s before its end, want %s, a tenth more or less", tc.life, before, tc.margin)
			}
			if i == 0 || before < earliest {
				earliest = before
			}
			latest = max(latest, before)
		}
		if latest-earliest < tc.margin/20 {
			t.Errorf("tokens of %s are renewed between %s and %s before their end: that is no spread", tc.life, earliest, latest)
		}
	}
	never := in.front.Grants.New(records.GrantKey(acme, "timed", "client", "never"))
	never.RefreshToken, never.IssuedAt = "there is one", time.Now()
	must(t, in.front.OAuth.Scheduler.Schedule(t.Context(), never))
	if _, set := in.timers(t); set != 160 {
		t.Errorf("%d timers, want one for each of 160 grants, and none for a token that does not end", set)
	}
}

// timer returns when the grant's timer fires.
func (in *installation) timer(t *testing.T, grant string) time.Time {
	t.Helper()
	stream, err := in.front.Bus.JetStream().Stream(t.Context(), in.front.Bus.Subjects.StreamName(queue.Refresh))
	must(t, err)
	msg, err := stream.GetLastMsgForSubject(t.Context(), in.front.Queue.Subjects.RefreshTimer(grant))
	must(t, err)
	at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(msg.Header.Get(jetstream.ScheduleHeader), "@at "))
	must(t, err)
	return at
}

// A provider that does not respond delays its own grants only.
func TestASlowProviderDelaysOnlyItsOwnGrants(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	stuck := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer close(release)
	quick := newSlowServer(t, 0)
	in := install(t, nil, oauthConnector("stuck", stuck, nil), oauthConnector("quick", quick.url, nil))
	in.setApp("stuck", demoApp)
	in.setApp("quick", demoApp)
	for i := range 40 {
		in.storeDue(t, "stuck", i)
	}
	n := in.front.Join(t)
	r := refresherOf(n, &refresher.Options{Concurrency: 8, PerProvider: 2})
	run(t, func(ctx context.Context) error { return r.Run(ctx, ctx, func() {}) })
	for i := range 12 {
		key := in.storeDue(t, "quick", i)
		testenv.Eventually(t, "a grant of the quick provider to be renewed", func() bool { return in.grant(key).Generation == 2 })
	}
}
