package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
)

// Speed is shown as ratios: Hawser against the least that could do the job, both
// measured in turns in the same run, because machines differ and are noisy. Every rate
// is measured until all that was accepted is done. `make bench` prints the table.

// row is one line of the table.
type row struct {
	what          string
	floor, hawser sample
	ratio         float64 // of the rates, the median of the turns
	goal          string
}

// sample is the outcome of one turn.
type sample struct {
	rate float64       // operations a second
	cpu  time.Duration // of the whole process for an operation: client, server and Hawser
}

func (s sample) String() string {
	return fmt.Sprintf("%.0f/s %d µs", s.rate, s.cpu.Microseconds())
}

var table struct {
	sync.Mutex
	rows []row
}

func TestMain(m *testing.M) {
	setGCPercent() // as the programs do
	status := m.Run()
	if len(table.rows) > 0 {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nwhat\tfloor\thawser\tratio\tgoal")
		for _, r := range table.rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%s\n", r.what, r.floor, r.hawser, r.ratio, r.goal)
		}
		_ = w.Flush()
	}
	os.Exit(status)
}

// What is measured per second is measured in many short turns rather than a few long
// ones, because the load of a machine changes by the second. HAWSER_BENCH_TURNS sets
// their number.
const turn = 400 * time.Millisecond

func turns(b *testing.B) int {
	b.Helper()
	text := os.Getenv("HAWSER_BENCH_TURNS")
	if text == "" {
		return 25
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("HAWSER_BENCH_TURNS is %q, want a number", text)
	}
	return n
}

// compare measures floor and hawser in turns and adds the medians to the table.
func compare(b *testing.B, what, goal string, floor, hawser func() sample) {
	b.Helper()
	floor() // warm up
	hawser()
	var fs, hs []sample
	var ratios []float64
	for range turns(b) {
		f, h := floor(), hawser()
		fs, hs, ratios = append(fs, f), append(hs, h), append(ratios, h.rate/f.rate)
	}
	slices.Sort(ratios)
	r := row{what, medians(fs), medians(hs), ratios[len(ratios)/2], goal}
	b.ReportMetric(r.hawser.rate, "op/s")
	b.ReportMetric(float64(r.hawser.cpu.Nanoseconds()), "cpu-ns/op")
	b.ReportMetric(r.ratio, "ratio")
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, r)
}

func medians(all []sample) sample {
	var rates []float64
	var cpus []time.Duration
	for _, s := range all {
		rates, cpus = append(rates, s.rate), append(cpus, s.cpu)
	}
	slices.Sort(rates)
	slices.Sort(cpus)
	return sample{rates[len(rates)/2], cpus[len(cpus)/2]}
}

// benchConnector is what is measured with: a webhook signed like most, and an
// action that does nothing.
func benchConnector() connectors.Connector {
	type config struct {
		Secret connectors.Secret `json:"secret"`
	}
	type message struct {
		Text string `json:"text"`
	}
	return connectors.Connector{
		Key: "bench", Config: schema.For[config](),
		Actions: []connectors.Action{connectors.NewAction("echo", func(_ context.Context, _ *connectors.Call, in message) (message, error) {
			return in, nil
		}, &connectors.ActionOptions{Idempotent: true})},
		Webhook: benchWebhook(),
	}
}

// system is a node on an embedded server, with one connection.
type system struct {
	*node
	env        *testenv.Env
	tenant     events.Tenant
	webhookURL string
}

// systemOptions say what a system is like. Zero fields mean that nothing is synced, no
// role runs, and notifications are on.
type systemOptions struct {
	sync          string // as of --sync
	roles         roles
	notifications string
	connectors    []connectors.Connector // besides the bench connector
}

const benchSecret = "bench-signing-secret"

// newSystem starts the roles and connects the bench connector once.
func newSystem(b *testing.B, o systemOptions) *system {
	b.Helper()
	if o.sync == "" {
		o.sync = "10m"
	}
	// The streams reserve what they may hold at most, whatever the disk has.
	env := testenv.Start(b, &testenv.Options{Sync: o.sync, MaxStore: 1 << 40})
	text, err := crypto.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	keys, err := crypto.ParseKeyset(text)
	if err != nil {
		b.Fatal(err)
	}
	n := startNode(b, env, keys, o)
	s := &system{node: n, env: env, tenant: events.Tenant{Scope: "organization", Identity: "org_1"}}
	if !o.roles.executor {
		if err := n.definitions.Publish(b.Context(), n.registry.All()); err != nil {
			b.Fatal(err)
		}
	}
	view, err := n.service.Connect(b.Context(), records.NewRef(s.tenant, "bench", ""), connection.ConnectInput{Config: json.RawMessage(`{"secret":"` + benchSecret + `"}`)})
	if err != nil {
		b.Fatal(err)
	}
	s.webhookURL = view.WebhookURL
	return s
}

// startNode starts roles on the server until the benchmark ends.
func startNode(b *testing.B, env *testenv.Env, keys *crypto.Keyring, o systemOptions) *node {
	b.Helper()
	nc, err := env.Server().Connect(append(events.ConnectOptions("bench"), nats.Timeout(30*time.Second))...)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	n, err := newNode(b.Context(), nodeOptions{
		role: "ingress", baseURL: "http://" + listener.Addr().String(), nc: nc, keys: keys, log: zerolog.Nop(),
		settings: shared{
			Prefix: "hawser", Scopes: connection.DefaultScopes, BasePath: "/api/v1", Grace: 5 * time.Second,
			Concurrency: 64, Replicas: 1, Notifications: o.notifications,
		},
		connectors: append(o.connectors, benchConnector()), groupCommit: o.sync == "always", servesAPI: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.run(ctx, listener, o.roles, func() { close(ready) }) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		nc.Close()
	})
	select {
	case <-ready:
	case err := <-done:
		b.Fatal(err)
	}
	return n
}

// drain waits until the consumers of a stream have read all of it, and the stream of
// events holds all that was sent to it.
func (s *system) drain(b *testing.B, stream events.Stream) {
	b.Helper()
	handle, err := s.queue.Bus.Stream(b.Context(), stream)
	if err != nil {
		b.Fatal(err)
	}
	for pending := 1; pending > 0; {
		pending = 0
		for consumer := range handle.ListConsumers(b.Context()).Info() {
			pending += consumer.NumAckPending + int(consumer.NumPending)
		}
	}
	// Messages of one connection reach a stream in their order.
	e := events.NewLifecycle("bench", events.ErrorOccurred, events.EventContext{Tenant: s.tenant, Connector: "bench"}, events.Data{})
	if _, err := s.queue.Bus.Publish(b.Context(), s.queue.Bus.Subjects.Event(s.tenant, "bench", events.ErrorOccurred), e, nil); err != nil {
		b.Fatal(err)
	}
}

// load runs work in so many goroutines for so long, then drain, if any.
func load(b *testing.B, goroutines int, d time.Duration, work func() error, drain func()) sample {
	b.Helper()
	var running sync.WaitGroup
	var total atomic.Int64
	began, cpu := time.Now(), cpuTime(b)
	for range goroutines {
		running.Go(func() {
			for time.Since(began) < d {
				if err := work(); err != nil {
					b.Error(err)
					return
				}
				total.Add(1)
			}
		})
	}
	running.Wait()
	if drain != nil {
		drain()
	}
	n := max(total.Load(), 1)
	return sample{float64(n) / time.Since(began).Seconds(), (cpuTime(b) - cpu) / time.Duration(n)}
}

// cpuTime returns the CPU time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var benchClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128, MaxConnsPerHost: 128}}

var benchBody = `{"text":"` + strings.Repeat("x", 1024-11) + `"}`
