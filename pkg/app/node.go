package app

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
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

// nodeOptions are what a node is made of. All are required but connectors,
// groupCommit, storeBytes and denied.
type nodeOptions struct {
	role        string // source of the events that it publishes
	settings    shared
	baseURL     string
	nc          *nats.Conn
	keys        *crypto.Keyring
	log         zerolog.Logger
	connectors  []connectors.Connector // that its executor serves
	groupCommit bool                   // its ingress stores concurrent webhooks together
	storeBytes  int64                  // that the NATS store can hold, 0 if that is not known
	denied      func() error           // see [start]
	// storeFailure says why the embedded server takes no writes; nil without one.
	storeFailure func() error
	// restart restarts the embedded server; nil without one.
	restart   func(context.Context) error
	servesAPI bool    // it writes the settings of the installation
	flags     flagSet // nil: all settings count as set
}

// node is what every role is assembled from: the queue, the records, the keys.
type node struct {
	nodeOptions
	start       start
	health      *health
	marks       *records.Marks
	registry    *connectors.Registry
	metrics     *prometheus.Registry
	queue       *queue.Queue
	scopes      connection.Scopes
	buckets     records.Buckets
	store       *records.Connections
	definitions *records.Definitions
	status      *records.StatusWriter
	tokens      *records.APITokens
	service     *connection.Service
	grants      *records.Grants
	leases      *records.Leases
	apps        *records.Apps
	http        *http.Client // for providers
	oauth       *token.Service
	links       *flow.Links
}

// newNode creates and updates streams and buckets, checks that the keyset is the one
// that the records were sealed with, and reads the catalogue.
func newNode(ctx context.Context, o nodeOptions) (*node, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	n := &node{nodeOptions: o, metrics: newRegistry(), registry: connectors.NewRegistry(), start: start{o.log, o.denied}, health: newHealth(o)}
	if o.denied == nil {
		n.start.denied = func() error { return nil }
	}
	for _, c := range o.connectors {
		if err := n.registry.Register(c); err != nil {
			return nil, err
		}
	}
	var err error
	if n.queue, err = queue.New(o.nc, &queue.Options{Prefix: o.settings.Prefix, OnChange: n.onDrift, OnStoreFailure: n.health.refused}); err != nil {
		return nil, err
	}
	n.health.queue = n.queue
	if err := n.prepare(ctx); err != nil {
		return nil, err
	}
	if err := n.start.step(ctx, "read the settings of the installation", n.agree); err != nil {
		return nil, err
	}
	if n.scopes, err = connection.ParseScopes(n.settings.Scopes); err != nil {
		return nil, err
	}
	n.marks = records.NewMarks(n.buckets)
	if err := n.start.step(ctx, "check what the streams hold", n.checkMarks); err != nil {
		return nil, err
	}
	sealer := records.NewSealer(o.keys, o.settings.Prefix)
	n.store = records.NewConnections(n.buckets, sealer)
	n.definitions = records.NewDefinitions(n.buckets)
	n.status = records.NewStatusWriter(n.buckets)
	n.tokens = records.NewAPITokens(n.buckets)
	n.grants = records.NewGrants(n.buckets, sealer)
	n.leases = records.NewLeases(n.buckets)
	n.apps = records.NewApps(n.buckets, sealer, os.Getenv)
	n.service = connection.NewService(n.store, n.definitions, n.scopes, n.queue.Bus, &connection.ServiceOptions{
		Role: o.role, BaseURL: n.baseURL + n.settings.BasePath, OnError: n.problem, Grants: n.grants, CheckSecret: webhook.CheckSecret,
	})
	n.observe()
	return n, n.start.step(ctx, "read the connectors", n.definitions.Load)
}

// openProviders makes the HTTP client for providers, and the source of their tokens.
func (n *node) openProviders(ctx context.Context) error {
	allow, err := safehttp.ParseNetworks(n.settings.AllowNetworks)
	if err != nil {
		return err
	}
	n.http = safehttp.New(&safehttp.Options{Allow: allow})
	var key secret.Text
	err = n.start.step(ctx, "read the signing key", func(ctx context.Context) error {
		key, err = records.SigningKey(ctx, n.buckets, n.store.Sealer())
		return err
	})
	if err != nil {
		return err
	}
	n.store.SignWebhookURLs(key)
	n.links = &flow.Links{BaseURL: n.baseURL + n.settings.BasePath, Key: key, Now: time.Now}
	n.oauth = token.New(token.Parts{
		Queue: n.queue, Connections: n.service, Grants: n.grants, Leases: n.leases, HTTP: n.http,
		Servers:      &endpoint.Servers{Definitions: n.definitions, Apps: n.apps, Registry: n.registry},
		ReconnectURL: n.reconnectURL,
	}, &token.Options{Metrics: n.metrics, Log: n.log})
	return nil
}

// prepare creates and updates streams and buckets.
func (n *node) prepare(ctx context.Context) error {
	topology := n.settings.topology()
	topology.StoreBytes = n.storeBytes
	err := n.start.step(ctx, "prepare the streams", func(ctx context.Context) error {
		_, err := n.queue.Ensure(ctx, topology)
		return err
	})
	if err != nil {
		return err
	}
	err = n.start.step(ctx, "prepare the buckets", func(ctx context.Context) error {
		n.buckets, err = openBuckets(ctx, n.queue.Bus, bucketOptions{n.settings.Replicas, func(change string) {
			n.log.Warn().Str("change", change).Msg("a bucket is not as it should be, and is changed")
		}})
		return err
	})
	if err != nil {
		return err
	}
	return n.start.step(ctx, "check the keyset", func(ctx context.Context) error {
		return records.CheckKeyset(ctx, n.buckets, n.keys)
	})
}

type bucketOptions struct {
	replicas int // 0: as it is
	onChange func(change string)
}

// openBuckets creates and updates buckets: all, or only those named.
func openBuckets(ctx context.Context, bus *events.Bus, o bucketOptions, only ...string) (records.Buckets, error) {
	return records.BucketsFrom(func(name string) (kvstore.Store, error) {
		bucket := natskv.Bucket{Name: bus.Subjects.Bucket(name), Replicas: o.replicas, TTL: records.BucketTTL(name)}
		return natskv.Open(ctx, bus.JetStream(), bucket, &natskv.Options{OnChange: o.onChange})
	}, only...)
}

// onDrift logs what is about to be changed.
func (n *node) onDrift(d queue.Drift) {
	n.log.Warn().Stringer("drift", d).Msg("a stream is not as it should be, and is changed")
}

// problem logs an error that no caller gets.
func (n *node) problem(err error) { n.log.Warn().Err(err).Msg("problem") }

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
