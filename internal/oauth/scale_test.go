package oauth_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// BenchmarkRefresherScale renews 1,000 due grants among few and among many others that
// are not due. The refresher's CPU, memory and start time must depend on the first
// number only. The many are HAWSER_BENCH_GRANTS, default 100,000; a million take some
// minutes to store.
func BenchmarkRefresherScale(b *testing.B) {
	many := 100_000
	if text := os.Getenv("HAWSER_BENCH_GRANTS"); text != "" {
		var err error
		many, err = strconv.Atoi(text)
		must(b, err)
	}
	for _, n := range []int{10_000, many} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) { benchmarkScale(b, n) })
	}
}

func benchmarkScale(b *testing.B, n int) {
	endpoint := newTokenEndpoint(b)
	in := installWithApp(b, nil, oauthConnector("bench", endpoint.url, nil))
	began := time.Now()
	keys := storeMany(b, in, n)
	b.Logf("%d grants and timers stored in %s", n, time.Since(began).Round(time.Second))
	began = time.Now()
	child, out := in.child(b, childOptions{Refresher: true})
	line, err := out.ReadString('\n')
	must(b, err)
	if line != "serving\n" {
		b.Fatalf("the refresher says %q", line)
	}
	start := time.Since(began)
	pid := child.Process.Pid
	var spent time.Duration
	for b.Loop() {
		var before time.Duration
		endpoint.waitForDue(b, in, keys, func() { before = cpuOf(b, pid) })
		time.Sleep(time.Second) // for what follows the last answer
		spent += cpuOf(b, pid) - before
	}
	b.ReportMetric(float64(start.Milliseconds()), "start-ms")
	b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "cpu-ms/1000-due")
	b.ReportMetric(float64(peakMemory(b, pid))/(1<<20), "peak-MiB")
	before := cpuOf(b, pid)
	sweeping := time.Now()
	must(b, child.Process.Signal(sweepSignal))
	line, err = out.ReadString('\n')
	must(b, err)
	if line != "healed 0\n" {
		b.Fatalf("the sweep says %q", line)
	}
	b.ReportMetric((cpuOf(b, pid) - before).Seconds(), "cpu-s/sweep")
	b.ReportMetric(time.Since(sweeping).Seconds(), "s/sweep")
	b.ReportMetric(float64(peakMemory(b, pid))/(1<<20), "peak-MiB-with-sweep")
}

// sweepSignal makes the refresher of [runAsRefresher] sweep.
const sweepSignal = syscall.SIGUSR1

// runAsRefresher runs a refresher until its process is killed. At a signal it sweeps.
func runAsRefresher(t testing.TB, n *testenv.Node) {
	r := refresherOf(n, nil)
	run(t, n.Grants.Run)
	run(t, n.Apps.Run)
	run(t, func(ctx context.Context) error { return r.Run(ctx, ctx, func() { fmt.Println("serving") }) })
	sweeps := make(chan os.Signal, 1)
	signal.Notify(sweeps, sweepSignal)
	for range sweeps {
		healed, err := r.Heal(t.Context())
		must(t, err)
		fmt.Println("healed", healed)
	}
}

// cpuOf returns the CPU time that a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	must(b, err)
	system, err := strconv.Atoi(fields[12])
	must(b, err)
	const tick = 10 * time.Millisecond // USER_HZ, on Linux everywhere 100
	return time.Duration(user+system) * tick
}

// peakMemory returns the most memory that a process has held, in bytes.
func peakMemory(b *testing.B, pid int) int {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	_, rest, _ := bytes.Cut(data, []byte("VmHWM:"))
	kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	must(b, err)
	return kib << 10
}

// storeMany stores n grants with their timers, a day ahead, and returns the keys of the
// first dueGrants. It waits for the acks at its end.
func storeMany(b *testing.B, in *installation, n int) (keys []string) {
	b.Helper()
	nc := in.front.Env.Conn(b)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncErrHandler(
		func(_ jetstream.JetStream, m *nats.Msg, err error) { b.Errorf("%s: %v", m.Subject, err) }))
	must(b, err)
	buckets := in.front.Buckets
	buckets.Grants = asyncStore{buckets.Grants, js, "$KV." + in.front.Bus.Subjects.Bucket("grants") + "."}
	grants := records.NewGrants(buckets, records.NewSealer(in.front.Keys, "hawser"))
	at := "@at " + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339Nano)
	for i := range n {
		grant, err := benchGrant(in, grants, i)
		must(b, err)
		must(b, grants.Save(b.Context(), grant))
		_, err = js.PublishMsgAsync(&nats.Msg{Subject: in.front.Queue.Subjects.RefreshTimer(grant.Key()), Header: nats.Header{
			jetstream.ScheduleHeader: {at}, jetstream.ScheduleTargetHeader: {in.front.Queue.Subjects.RefreshDue(grant.Key())},
		}})
		must(b, err)
		if len(keys) < dueGrants {
			keys = append(keys, grant.Key())
		}
	}
	<-js.PublishAsyncComplete()
	return keys
}

// asyncStore creates records without waiting for acks.
type asyncStore struct {
	kvstore.Store
	js     jetstream.JetStream
	prefix string
}

func (p asyncStore) Create(_ context.Context, key string, value []byte, _ time.Duration) (uint64, error) {
	_, err := p.js.PublishAsync(p.prefix+key, value)
	return 0, err
}
