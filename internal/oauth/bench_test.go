package oauth_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	// dueGrants is how many grants come due at once.
	dueGrants = 1000
	// tokenLatency is how long the token endpoint takes at least.
	tokenLatency = 50 * time.Millisecond
	// callsAtOnce is what a refresher allows one provider.
	callsAtOnce = 16
)

// BenchmarkRefreshThroughput renews 1,000 grants that come due at one moment, beside
// a bare loop that calls the same token endpoint as often, with as many calls at
// once, and stores nothing: of-bare-loop is the part of its throughput that is left.
// sync=always is how `hawser up` stores, sync=5s leaves the disk out of it.
func BenchmarkRefreshThroughput(b *testing.B) {
	for _, sync := range []string{"5s", "always"} {
		b.Run("sync="+sync, func(b *testing.B) {
			endpoint := newTokenEndpoint(b)
			in := installWith(b, testenv.NodeOptions{Env: testenv.Start(b, &testenv.Options{Sync: sync})}, nil, oauthConnector("bench", endpoint.url, nil))
			in.setApp("bench", demoApp)
			keys := storeMany(b, in, dueGrants)
			in.runRefresher(b)
			var part, rate float64
			for b.Loop() {
				bare := endpoint.bareLoop(b)
				took := endpoint.waitForDue(b, in, keys, nil)
				part, rate = part+bare.Seconds()/took.Seconds(), rate+dueGrants/took.Seconds()
			}
			b.ReportMetric(part/float64(b.N), "of-bare-loop")
			b.ReportMetric(rate/float64(b.N), "refreshes/s")
		})
	}
}

// tokenEndpoint is a provider's, of tokenLatency.
type tokenEndpoint struct {
	url     string
	answers atomic.Int64
}

func newTokenEndpoint(b *testing.B) *tokenEndpoint {
	e := &tokenEndpoint{}
	e.url = newServer(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(tokenLatency)
		_, _ = io.WriteString(w, fmt.Sprintf(`{"access_token":"a","refresh_token":"r%d","expires_in":86400}`, e.answers.Add(1)))
	}))
	return e
}

// bareLoop returns how long the calls alone take.
func (e *tokenEndpoint) bareLoop(b *testing.B) time.Duration {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callsAtOnce}}
	defer client.CloseIdleConnections()
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(callsAtOnce)
	for range dueGrants {
		g.Go(func() error {
			resp, err := client.PostForm(e.url+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r"}})
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Body.Close()
		})
	}
	must(b, g.Wait())
	return time.Since(began)
}

// waitForDue lets the grants come due at one moment, once all their timers are set,
// calls began at that moment, and returns how long it takes until all are renewed.
func (e *tokenEndpoint) waitForDue(b *testing.B, in *installation, keys []string, began func()) time.Duration {
	b.Helper()
	each := func(f func(key string) error) {
		var g errgroup.Group
		g.SetLimit(32)
		for _, key := range keys {
			g.Go(func() error { return f(key) })
		}
		must(b, g.Wait())
	}
	each(func(key string) error { in.expire(key); return nil })
	at := time.Now().Add(4 * time.Second)
	each(func(key string) error { return in.front.Queue.ScheduleRefresh(b.Context(), key, at) })
	if time.Now().After(at) {
		b.Fatal("the machine is too busy to set the timers in time")
	}
	time.Sleep(time.Until(at))
	if began != nil {
		began()
	}
	e.answers.Store(0)
	for e.answers.Load() < int64(len(keys)) {
		time.Sleep(time.Millisecond)
	}
	return time.Since(at)
}

// benchGrant returns a grant whose token expires in a day.
func benchGrant(in *installation, grants *records.Grants, i int) (*records.Grant, error) {
	grant := grants.New(records.GrantKey(acme, "bench", "demo-client", "someone "+strconv.Itoa(i)))
	grant.Scope, grant.Identity, grant.Family, grant.Connector = acme.Scope, acme.Identity, "bench", "bench"
	grant.ClientID, grant.Generation, grant.IssuedAt, grant.ExpiresAt = "demo-client", 1, time.Now(), time.Now().Add(24*time.Hour)
	return grant, in.front.Grants.Seal(grant, records.GrantTokens{Access: secret.New(strings.Repeat("a", 40)), Refresh: secret.New(strings.Repeat("r", 40))})
}
