package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
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
// measured in turns in the same run, because the machines differ and are noisy.
// `make bench` prints the table.

// row is one line of the table.
type row struct{ what, floor, hawser, ratio, goal string }

var table struct {
	sync.Mutex
	rows []row
}

func report(r row) {
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, r)
}

func TestMain(m *testing.M) {
	status := m.Run()
	if len(table.rows) > 0 {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nwhat\tfloor\thawser\tratio\tgoal")
		for _, r := range table.rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.what, r.floor, r.hawser, r.ratio, r.goal)
		}
		_ = w.Flush()
	}
	os.Exit(status)
}

// What is measured per second is measured in many short turns rather than a few long
// ones: what else a machine does changes by the second.
const (
	turns = 25
	turn  = 400 * time.Millisecond
)

// inTurns measures floor and hawser in turns and returns the medians of both and
// of their ratios.
func inTurns(rounds int, floor, hawser func() float64) (f, h, ratio float64) {
	floor() // warm up
	hawser()
	var fs, hs, ratios []float64
	for range rounds {
		a, b := floor(), hawser()
		fs, hs, ratios = append(fs, a), append(hs, b), append(ratios, b/a)
	}
	return median(fs), median(hs), median(ratios)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
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

const benchSecret = "bench-signing-secret"

// newSystem starts the roles and connects the bench connector once.
func newSystem(b *testing.B, sync string, play roles, more ...connectors.Connector) *system {
	b.Helper()
	// The streams reserve what they may hold at most, whatever the disk has.
	env := testenv.Start(b, &testenv.Options{Sync: sync, MaxStore: 1 << 40})
	text, err := crypto.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	keys, err := crypto.ParseKeyset(text)
	if err != nil {
		b.Fatal(err)
	}
	n := startNode(b, env, keys, play, more...)
	s := &system{node: n, env: env, tenant: events.Tenant{Scope: "organization", Identity: "org_1"}}
	if !play.executor {
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
func startNode(b *testing.B, env *testenv.Env, keys *crypto.Keyring, play roles, more ...connectors.Connector) *node {
	b.Helper()
	nc, err := env.Server().Connect(append(events.ConnectOptions("bench"), nats.Timeout(30*time.Second))...)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	settings := shared{Prefix: "hawser", Scopes: connection.DefaultScopes, BasePath: "/api/v1", Grace: 5 * time.Second, Concurrency: 64, Replicas: 1}
	n, err := newNode(b.Context(), nodeOptions{role: "ingress", settings: settings, baseURL: "http://" + listener.Addr().String(), nc: nc, keys: keys, log: zerolog.Nop(), connectors: append(more, benchConnector())})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.run(ctx, listener, play, func() { close(ready) }) }()
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

// perSecond runs work in so many goroutines for so long and returns the rate.
func perSecond(b *testing.B, goroutines int, d time.Duration, work func(worker, n int) error) float64 {
	b.Helper()
	var wg sync.WaitGroup
	counts := make([]int, goroutines)
	began := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			for n := 0; time.Since(began) < d; n++ {
				if err := work(g, n); err != nil {
					b.Error(err)
					return
				}
				counts[g]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, c := range counts {
		total += c
	}
	return float64(total) / time.Since(began).Seconds()
}

func rate(v float64) string { return fmt.Sprintf("%.0f/s", v) }

var benchClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128, MaxConnsPerHost: 128}}

var benchBody = `{"text":"` + strings.Repeat("x", 1024-11) + `"}`
