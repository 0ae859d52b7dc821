// Package roletest assembles roles for tests as pkg/app does for programs: on a
// real NATS server, with providers and clients of the test's own.
//
// node.go what every role is assembled from
// run.go executors and ingresses that run until the test ends
// heard.go what was published, in the order of publication
// connector.go a connector whose actions the test writes
package roletest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// Options of a [Node]. Zero fields mean the default.
type Options struct {
	Env   *testenv.Env    // default: a new one
	Keys  *crypto.Keyring // default: a new keyset
	Queue *queue.Queue    // default: one in process
	// Timeout of the default bus and of the buckets; default 10 s, which is more
	// than programs have: machines that test are busy.
	Timeout time.Duration
	BaseURL string // of the ingress
	// Connectors are those of this process's registry.
	Connectors []connectors.Connector
}

// Node is one process of an installation.
type Node struct {
	Env         *testenv.Env
	Keys        *crypto.Keyring
	Queue       *queue.Queue
	Bus         *events.Bus // of Queue
	Buckets     records.Buckets
	Store       *records.Connections
	Definitions *records.Definitions
	Scopes      connection.Scopes
	Status      *records.StatusWriter
	Tokens      *records.APITokens
	Service     *connection.Service
	Apps        *records.Apps
	Grants      *records.Grants
	OAuth       *token.Service
	Links       *flow.Links
	Providers   *http.Client // for providers on loopback
	Registry    *connectors.Registry
	Log         *testenv.Log
}

// Start assembles a node and keeps its caches fresh until the test ends.
func Start(t testing.TB, opts *Options) *Node {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	n := &Node{Env: opts.Env, Queue: opts.Queue, Keys: opts.Keys, Registry: connectors.NewRegistry(), Log: &testenv.Log{}}
	if n.Env == nil {
		n.Env = testenv.Start(t, nil)
	}
	if n.Keys == nil {
		n.Keys = newKeys(t)
	}
	for _, c := range opts.Connectors {
		check(t, n.Registry.Register(c))
	}
	timeout := cmp.Or(opts.Timeout, 10*time.Second)
	n.connect(t, timeout)
	n.openBuckets(t, timeout)
	n.assemble(t, opts.BaseURL)
	check(t, n.Definitions.Load(t.Context()))
	check(t, n.Definitions.Publish(t.Context(), n.Registry.All()))
	n.keepFresh(t)
	return n
}

func (n *Node) connect(t testing.TB, timeout time.Duration) {
	t.Helper()
	if n.Queue == nil {
		var err error
		n.Queue, err = queue.New(n.Env.Conn(t, events.ConnectOptions("test")...), &queue.Options{PublishTimeout: timeout})
		check(t, err)
	}
	n.Bus = n.Queue.Bus
	_, err := n.Queue.Ensure(t.Context(), queue.Topology{})
	check(t, err)
}

func (n *Node) openBuckets(t testing.TB, timeout time.Duration) {
	t.Helper()
	var err error
	n.Buckets, err = records.BucketsFrom(func(name string) (kvstore.Store, error) {
		bucket := natskv.Bucket{Name: n.Bus.Subjects.Bucket(name), TTL: records.BucketTTL(name)}
		return natskv.Open(t.Context(), n.Bus.JetStream(), bucket, &natskv.Options{Timeout: timeout})
	})
	check(t, err)
}

func (n *Node) assemble(t testing.TB, baseURL string) {
	t.Helper()
	var err error
	n.Scopes, err = connection.ParseScopes(connection.DefaultScopes)
	check(t, err)
	sealer := records.NewSealer(n.Keys, n.Bus.Subjects.Prefix())
	n.Store = records.NewConnections(n.Buckets, sealer)
	n.Definitions = records.NewDefinitions(n.Buckets)
	n.Status = records.NewStatusWriter(n.Buckets)
	n.Tokens = records.NewAPITokens(n.Buckets)
	n.Apps = records.NewApps(n.Buckets, sealer, nil)
	n.Grants = records.NewGrants(n.Buckets, sealer)
	n.Service = connection.NewService(n.Store, n.Definitions, n.Scopes, n.Bus, &connection.ServiceOptions{
		BaseURL: baseURL + "/api/v1", OnError: n.problem, Grants: n.Grants, CheckSecret: webhook.CheckSecret,
	})
	n.keepTokens(t, baseURL)
}

// keepTokens makes the way to providers and to their tokens.
func (n *Node) keepTokens(t testing.TB, baseURL string) {
	t.Helper()
	n.Providers = safehttp.New(&safehttp.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	t.Cleanup(n.Providers.CloseIdleConnections)
	key, err := records.SigningKey(t.Context(), n.Buckets, n.Store.Sealer())
	check(t, err)
	n.Links = &flow.Links{BaseURL: baseURL + "/api/v1", Key: key, Now: time.Now}
	n.OAuth = token.New(token.Parts{
		Queue: n.Queue, Connections: n.Service, Grants: n.Grants, Leases: records.NewLeases(n.Buckets), HTTP: n.Providers,
		Servers:      &endpoint.Servers{Definitions: n.Definitions, Apps: n.Apps, Registry: n.Registry},
		ReconnectURL: n.Links.ReconnectURL,
	}, &token.Options{Log: n.Logger()})
}

func (n *Node) problem(err error) {
	log := n.Logger()
	log.Warn().Err(err).Msg("problem")
}

// keepFresh runs what outlives the roles, and waits for its end.
func (n *Node) keepFresh(t testing.TB) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = n.Store.Run(ctx) })
	running.Go(func() { _ = n.Tokens.Run(ctx) })
	running.Go(func() { _ = n.Grants.Run(ctx) })
	running.Go(func() { _ = n.Apps.Run(ctx) })
	running.Go(func() { _ = n.Definitions.Run(ctx, n.problem) })
	running.Go(func() { _ = n.Status.Run(ctx, n.problem) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// Connect makes a connection of a tenant, active, with the default account.
func (n *Node) Connect(t testing.TB, tenant events.Tenant, connector, config string) *connection.View {
	t.Helper()
	view, err := n.Service.Connect(t.Context(), records.NewRef(tenant, connector, ""), connection.ConnectInput{Config: json.RawMessage(config)})
	check(t, err)
	return view
}

// Logger writes into Log.
func (n *Node) Logger() zerolog.Logger { return zerolog.New(n.Log) }

func newKeys(t testing.TB) *crypto.Keyring {
	t.Helper()
	text, err := crypto.NewKeyset()
	check(t, err)
	keys, err := crypto.ParseKeyset(text)
	check(t, err)
	return keys
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Patience bounds every wait of a test: far above what anything takes.
const Patience = 30 * time.Second
