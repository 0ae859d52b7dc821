package oauth_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/secret"
)

// dueGrants is how many grants come due in each run.
const dueGrants = 1000

// tokenLatency is what a provider's token endpoint takes, at its quickest.
const tokenLatency = 50 * time.Millisecond

// BenchmarkRefresher renews 1,000 due grants among a few and among many others that
// are not due: what it costs must depend on the first number only. The many are
// HAWSER_BENCH_GRANTS, default 50,000; a million takes minutes to set up.
func BenchmarkRefresher(b *testing.B) {
	many := 50_000
	if text := os.Getenv("HAWSER_BENCH_GRANTS"); text != "" {
		var err error
		many, err = strconv.Atoi(text)
		must(b, err)
	}
	for _, n := range []int{10_000, many} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) { benchmarkDue(b, n) })
	}
}

func benchmarkDue(b *testing.B, n int) {
	var answers atomic.Int64
	server := newServer(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(tokenLatency)
		_, _ = io.WriteString(w, fmt.Sprintf(`{"access_token":"a","refresh_token":"r%d","expires_in":3600}`, answers.Add(1)))
	}))
	in := install(b, nil, oauthConnector("bench", server, nil))
	in.setApp("bench", demoApp)
	var keys []string
	plantMany(b, in, n, &keys)
	in.runRefresher(b)
	var after runtime.MemStats
	for b.Loop() {
		answers.Store(0)
		bare := bareLoop(b, server)
		answers.Store(0)
		for _, key := range keys[:dueGrants] {
			in.expire(key)
		}
		// All of them come due at one moment, once all their timers are set.
		at := time.Now().Add(3 * time.Second)
		var g errgroup.Group
		g.SetLimit(32)
		for _, key := range keys[:dueGrants] {
			g.Go(func() error { return in.front.bus.ScheduleRefresh(b.Context(), key, at) })
		}
		must(b, g.Wait())
		time.Sleep(time.Until(at))
		cpu, began := cpuTime(b), time.Now()
		for answers.Load() < dueGrants {
			time.Sleep(time.Millisecond)
		}
		took := time.Since(began)
		b.ReportMetric(float64((cpuTime(b) - cpu).Milliseconds()), "cpu-ms/1000-due")
		b.ReportMetric(dueGrants/took.Seconds(), "refreshes/s")
		b.ReportMetric(bare.Seconds()/took.Seconds(), "of-bare-loop")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc)/(1<<20), "heap-MiB")
	}
}

// bareLoop is how long the token endpoint needs when nothing is in the way.
func bareLoop(b *testing.B, server string) time.Duration {
	b.Helper()
	began := time.Now()
	var g errgroup.Group
	const calls = 16 // what a refresher allows one provider
	g.SetLimit(calls)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: calls}}
	defer client.CloseIdleConnections()
	for range dueGrants {
		g.Go(func() error {
			resp, err := client.PostForm(server+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r"}})
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

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// plantMany stores n grants with their timers, an hour ahead.
func plantMany(b *testing.B, in *installation, n int, keys *[]string) {
	b.Helper()
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(64)
	for i := range n {
		g.Go(func() error {
			key := connection.GrantKey(acme, "bench", "demo-client", "someone "+strconv.Itoa(i))
			grant := in.front.grants.New(key)
			grant.Scope, grant.Identity, grant.Family, grant.Connector, grant.App = acme.Scope, acme.Identity, "bench", "bench", "bench"
			grant.ClientID, grant.Generation, grant.IssuedAt, grant.ExpiresAt = "demo-client", 1, time.Now(), time.Now().Add(24*time.Hour)
			tokens := connection.GrantTokens{Access: secret.New(strings.Repeat("a", 40)), Refresh: secret.New(strings.Repeat("r", 40))}
			if err := in.front.grants.Seal(grant, tokens); err != nil {
				return err
			}
			if err := in.front.tokens.Schedule(b.Context(), grant); err != nil {
				return err
			}
			if err := in.front.grants.Save(b.Context(), grant); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if len(*keys) < dueGrants {
				*keys = append(*keys, key)
			}
			return nil
		})
	}
	must(b, g.Wait())
}
