package testenv

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
	"github.com/hawser-io/hawser/pkg/secret"
)

// NodeOptions are the options of a [Node]. Zero fields mean the default.
type NodeOptions struct {
	Env    *Env         // default: a new one, unless there is a queue
	Keyset secret.Text  // default: a new one
	Queue  *queue.Queue // default: over an in-process connection
	Log    *Log         // default: a new one
	// Timeout of the default queue and of the buckets. Default 30 s, which is more than
	// programs have: machines that run tests are busy.
	Timeout time.Duration
	BaseURL string // of the ingress, without the base path
	// Connectors are those of this process's registry; Registry replaces it.
	Connectors []connectors.Connector
	Registry   *connectors.Registry

	// Wrap replaces the store of a bucket, to make it fail.
	Wrap func(bucket string, s kvstore.Store) kvstore.Store
	// Roots are the certificate authorities of providers. Default: the system's.
	Roots *x509.CertPool
	Token token.Options
	// ReturnURLs are the URLs that a flow may return to.
	ReturnURLs []string
	// Uncached leaves the caches to [Node.RunCaches]: until then every read is of a bucket.
	Uncached bool
	// TLS is for [StartReachable]: its server speaks https.
	TLS bool
}

// Node is one process of an installation, assembled as pkg/app does it.
type Node struct {
	Env         *Env
	Keyset      secret.Text
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
	Leases      *records.Leases
	OAuth       *token.Service
	Links       *flow.Links
	Flow        *flow.Service
	Providers   *http.Client // for providers on loopback
	Registry    *connectors.Registry
	Metrics     *prometheus.Registry
	Log         *Log
	Wrap        func(bucket string, s kvstore.Store) kvstore.Store // of the buckets of nodes that join

	options NodeOptions
}

// StartNode starts an installation with one node, and keeps its caches fresh until the
// test ends.
func StartNode(t testing.TB, opts *NodeOptions) *Node {
	t.Helper()
	if opts == nil {
		opts = &NodeOptions{}
	}
	n := newNode(t, *opts)
	_, err := n.Queue.Ensure(t.Context(), queue.Topology{})
	Must(t, err)
	n.assemble(t)
	Must(t, n.Definitions.Publish(t.Context(), n.Registry.All()))
	return n
}

// Join assembles a further process of the same installation.
func (n *Node) Join(t testing.TB) *Node {
	t.Helper()
	opts := n.options
	opts.Env, opts.Keyset, opts.Registry, opts.Log, opts.Wrap = n.Env, n.Keyset, n.Registry, n.Log, n.Wrap
	opts.Connectors, opts.Queue = nil, nil
	joined := newNode(t, opts)
	joined.assemble(t)
	return joined
}

func newNode(t testing.TB, opts NodeOptions) *Node {
	t.Helper()
	n := &Node{Env: opts.Env, Queue: opts.Queue, Keyset: opts.Keyset, Registry: opts.Registry, Metrics: prometheus.NewRegistry(), Log: opts.Log, Wrap: opts.Wrap, options: opts}
	if n.Env == nil && n.Queue == nil {
		n.Env = Start(t, nil)
	}
	if n.Registry == nil {
		n.Registry = connectors.NewRegistry()
	}
	if n.Log == nil {
		n.Log = &Log{}
	}
	for _, c := range opts.Connectors {
		Must(t, n.Registry.Register(c))
	}
	n.options.Timeout = cmp.Or(opts.Timeout, MaxWait)
	n.openKeys(t)
	if n.Queue == nil {
		var err error
		n.Queue, err = queue.New(n.Env.Conn(t, events.ConnectOptions("test")...), &queue.Options{PublishTimeout: n.options.Timeout})
		Must(t, err)
	}
	n.Bus = n.Queue.Bus
	return n
}

func (n *Node) openKeys(t testing.TB) {
	t.Helper()
	var err error
	if n.Keyset.IsZero() {
		n.Keyset, err = crypto.NewKeyset()
		Must(t, err)
	}
	n.Keys, err = crypto.ParseKeyset(n.Keyset)
	Must(t, err)
}

func (n *Node) openBuckets(t testing.TB) {
	t.Helper()
	var err error
	n.Buckets, err = records.BucketsFrom(func(name string) (kvstore.Store, error) {
		bucket := natskv.Bucket{Name: n.Bus.Subjects.Bucket(name), TTL: records.BucketTTL(name)}
		store, err := natskv.Open(t.Context(), n.Bus.JetStream(), bucket, &natskv.Options{Timeout: n.options.Timeout})
		if err != nil || n.options.Wrap == nil {
			return store, err
		}
		return n.options.Wrap(name, store), nil
	})
	Must(t, err)
}

func (n *Node) assemble(t testing.TB) {
	t.Helper()
	n.openBuckets(t)
	var err error
	n.Scopes, err = connection.ParseScopes(connection.DefaultScopes)
	Must(t, err)
	sealer := records.NewSealer(n.Keys, n.Bus.Subjects.Prefix())
	n.Store = records.NewConnections(n.Buckets, sealer)
	n.Definitions = records.NewDefinitions(n.Buckets)
	n.Status = records.NewStatusWriter(n.Buckets)
	n.Tokens = records.NewAPITokens(n.Buckets)
	n.Apps = records.NewApps(n.Buckets, sealer, nil)
	n.Grants = records.NewGrants(n.Buckets, sealer)
	n.Leases = records.NewLeases(n.Buckets)
	n.Service = connection.NewService(n.Store, n.Definitions, n.Scopes, n.Bus, &connection.ServiceOptions{
		BaseURL: n.apiURL(), OnError: n.logError, Grants: n.Grants, CheckSecret: webhook.CheckSecret,
	})
	n.assembleOAuth(t, sealer)
	Must(t, n.Definitions.Load(t.Context()))
	if !n.options.Uncached {
		n.RunCaches(t)
	}
}

func (n *Node) assembleOAuth(t testing.TB, sealer *records.Sealer) {
	t.Helper()
	n.Providers = safehttp.New(&safehttp.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: n.options.Roots})
	t.Cleanup(n.Providers.CloseIdleConnections)
	key, err := records.SigningKey(t.Context(), n.Buckets, sealer)
	Must(t, err)
	n.Store.SignWebhookURLs(key)
	options := n.options.Token
	options.Log, options.Metrics = n.Logger(), n.Metrics
	now := options.Now
	if now == nil {
		now = time.Now
	}
	n.Links = &flow.Links{BaseURL: n.apiURL(), Key: key, Now: now}
	n.OAuth = token.New(token.Parts{
		Queue: n.Queue, Connections: n.Service, Grants: n.Grants, Leases: n.Leases, HTTP: n.Providers,
		Servers:      &endpoint.Servers{Definitions: n.Definitions, Apps: n.Apps, Registry: n.Registry},
		ReconnectURL: n.Links.ReconnectURL,
	}, &options)
	n.Flow = flow.New(flow.Parts{
		Tokens: n.OAuth, Flows: records.NewFlows(n.Buckets, sealer), Sessions: records.NewSessions(n.Buckets), Links: n.Links,
		ReturnURLs: n.options.ReturnURLs,
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), MaxWait)
		defer cancel()
		n.OAuth.Drain(ctx)
	})
}

func (n *Node) apiURL() string { return n.options.BaseURL + "/api/v1" }

func (n *Node) logError(err error) {
	log := n.Logger()
	log.Warn().Err(err).Msg("error")
}

// RunCaches keeps caches and status fresh until the test ends, after the roles.
func (n *Node) RunCaches(t testing.TB) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = n.Store.Run(ctx) })
	running.Go(func() { _ = n.Tokens.Run(ctx) })
	running.Go(func() { _ = n.Grants.Run(ctx) })
	running.Go(func() { _ = n.Apps.Run(ctx) })
	running.Go(func() { _ = n.Definitions.Run(ctx, n.logError) })
	running.Go(func() { _ = n.Status.Run(ctx, n.logError) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// Connect makes a connection of a tenant, active, with the default account.
func (n *Node) Connect(t testing.TB, tenant events.Tenant, connector, config string) *connection.View {
	t.Helper()
	view, err := n.Service.Connect(t.Context(), records.NewRef(tenant, connector, ""), connection.ConnectInput{Config: json.RawMessage(config)})
	Must(t, err)
	return view
}

// Logger writes into Log.
func (n *Node) Logger() zerolog.Logger { return zerolog.New(n.Log) }
