package oauth_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// node is one process.
type node struct {
	queue       *queue.Queue
	bus         *events.Bus
	buckets     records.Buckets
	store       *records.Connections
	definitions *records.Definitions
	scopes      connection.Scopes
	service     *connection.Service
	grants      *records.Grants
	leases      *records.Leases
	apps        *records.Apps
	links       *flow.Links
	tokens      *token.Service
	flow        *flow.Service
	http        *http.Client
}

// assembly is what a node is assembled from.
type assembly struct {
	nc         *nats.Conn
	keys       *crypto.Keyring
	wrap       func(bucket string, s kvstore.Store) kvstore.Store // nil: as they are
	http       *http.Client
	url        string // of the API
	registry   *connectors.Registry
	options    token.Options
	returnURLs []string
}

func (a assembly) assemble(ctx context.Context) (n *node, err error) {
	n = &node{http: a.http}
	if n.queue, err = queue.New(a.nc, &queue.Options{PublishTimeout: 30 * time.Second}); err != nil {
		return nil, err
	}
	n.bus = n.queue.Bus
	n.buckets, err = records.BucketsFrom(func(name string) (kvstore.Store, error) {
		bucket := natskv.Bucket{Name: n.bus.Subjects.Bucket(name), TTL: records.BucketTTL(name)}
		s, err := natskv.Open(ctx, n.bus.JetStream(), bucket, &natskv.Options{Timeout: 30 * time.Second})
		if err != nil || a.wrap == nil {
			return s, err
		}
		return a.wrap(name, s), nil
	})
	if err != nil {
		return nil, err
	}
	sealer := records.NewSealer(a.keys, "hawser")
	n.store, n.definitions = records.NewConnections(n.buckets, sealer), records.NewDefinitions(n.buckets)
	if err := n.definitions.Load(ctx); err != nil {
		return nil, err
	}
	if n.scopes, err = connection.ParseScopes(connection.DefaultScopes); err != nil {
		return nil, err
	}
	n.grants, n.leases, n.apps = records.NewGrants(n.buckets, sealer), records.NewLeases(n.buckets), records.NewApps(n.buckets, sealer, nil)
	n.service = connection.NewService(n.store, n.definitions, n.scopes, n.bus, &connection.ServiceOptions{
		BaseURL: a.url, Grants: n.grants, OnError: func(err error) { a.options.Warn(err) },
	})
	key, err := records.SigningKey(ctx, n.buckets, sealer)
	if err != nil {
		return nil, err
	}
	n.links = &flow.Links{BaseURL: a.url, Key: key, Now: a.options.Now}
	if n.links.Now == nil {
		n.links.Now = time.Now
	}
	n.tokens = token.New(token.Parts{
		Queue: n.queue, Connections: n.service, Grants: n.grants, Leases: n.leases, HTTP: n.http, ReconnectURL: n.links.ReconnectURL,
		Servers: &endpoint.Servers{Definitions: n.definitions, Apps: n.apps, Registry: a.registry},
	}, &a.options)
	n.flow = flow.New(flow.Parts{
		Tokens: n.tokens, Flows: records.NewFlows(n.buckets, sealer), Sessions: records.NewSessions(n.buckets),
		Links: n.links, ReturnURLs: a.returnURLs,
	})
	return n, nil
}

// join adds a process, with a connection and caches of its own.
func (in *installation) join(t testing.TB) *node {
	t.Helper()
	client := safehttp.New(&safehttp.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Roots: in.roots})
	t.Cleanup(client.CloseIdleConnections)
	o := in.options
	n, err := assembly{
		nc: in.env.Conn(t), keys: in.keys, wrap: in.wrap, http: client, url: in.url, registry: in.registry, returnURLs: o.ReturnURLs,
		options: token.Options{CallTimeout: o.CallTimeout, Metrics: o.Metrics, Now: o.Now, Log: zerolog.New(in.logs)},
	}.assemble(t.Context())
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		n.tokens.Drain(ctx)
	})
	return n
}
