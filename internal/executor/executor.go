package executor

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Options of an executor. Zero fields mean the default.
type Options struct {
	// Concurrency bounds the handlers of one connector that run at once in this
	// process, new requests, retries and webhooks each for themselves, so that a
	// slow provider holds up only itself. Default 64.
	Concurrency int
	// UnservedAfter is how long a request for a connector that nobody knows may
	// lie before it is answered CONNECTOR_NOT_FOUND. Default 3 s.
	UnservedAfter time.Duration
	// AckWait is how long a dead executor's work lies before another takes it.
	// Default 30 s.
	AckWait time.Duration
	// SilentAfter is the least time without a webhook after which a usually busy
	// connection is called silent. Default 10 min.
	SilentAfter time.Duration
	// BusyAfter is how many webhooks make a connection a usually busy one.
	// Default 20.
	BusyAfter int
	Metrics   prometheus.Registerer // default: none
	Log       zerolog.Logger
	// Role is the source of events, default "executor".
	Role string
}

// Parts are what an executor works with. All are required.
type Parts struct {
	Bus         *events.Bus
	Registry    *connectors.Registry
	Store       *connection.Store
	Definitions *connection.Definitions
	Scopes      connection.Scopes
	Claims      *connection.Claims
	Status      *connection.StatusWriter
	Deliveries  *connection.Deliveries
	HTTP        *http.Client // for providers, see internal/safehttp
}

// Executor runs the actions of the connectors in its registry.
type Executor struct {
	Parts
	opts    Options
	metrics *metrics
	timers  *timers
	log     zerolog.Logger
}

// New returns an executor. It does nothing until Run.
func New(parts Parts, opts *Options) *Executor {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.Concurrency == 0 {
		o.Concurrency = 64
	}
	if o.UnservedAfter == 0 {
		o.UnservedAfter = 3 * time.Second
	}
	if o.SilentAfter == 0 {
		o.SilentAfter = 10 * time.Minute
	}
	if o.BusyAfter == 0 {
		o.BusyAfter = 20
	}
	if o.Role == "" {
		o.Role = "executor"
	}
	return &Executor{Parts: parts, opts: o, metrics: newMetrics(o.Metrics), timers: newTimers(), log: o.Log.With().Str("role", o.Role).Logger()}
}

// Prepare makes this executor's connectors known, and their consumers exist, so
// that a request published after it returns waits for an executor.
func (x *Executor) Prepare(ctx context.Context) error {
	if err := x.Definitions.Publish(ctx, x.Registry.All()); err != nil {
		return err
	}
	for _, c := range x.Registry.All() {
		for _, consumer := range x.consumers(c) {
			if err := x.Bus.EnsureConsumer(ctx, consumer); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run works until ctx ends, then takes no more, lets what is in flight finish
// until grace ends, and returns nil. serving is called once calls are served.
func (x *Executor) Run(ctx, grace context.Context, serving func()) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range x.Registry.All() {
		for _, consumer := range x.consumers(c) {
			handle := x.perform
			if consumer.Stream == events.Webhooks {
				handle = x.received
			}
			if consumer.Name == dueWebhooks+c.Key {
				handle = x.dueWebhook
			}
			g.Go(func() error { return x.Bus.Consume(ctx, grace, consumer, handle) })
		}
	}
	g.Go(func() error { return x.serve(ctx, grace, serving) })
	g.Go(func() error { return x.sweep(ctx) })
	g.Go(func() error { return x.Bus.Consume(ctx, grace, x.silences(), x.silence) })
	g.Go(func() error { return x.Bus.Consume(ctx, grace, x.advisories(), x.ranOut) })
	return g.Wait()
}

// dueWebhooks begins the names of consumers; no connector's key has an underscore.
const dueWebhooks = "due_webhook-"

// consumers are the durable consumers of a connector: new requests, requests
// whose time has come again, and webhooks.
func (x *Executor) consumers(c *connectors.Connector) []events.Consumer {
	all := []events.Consumer{
		{Name: "action-" + c.Key, Stream: events.Actions, Filter: x.Bus.ActionFilter(c.Key), Description: "executors of " + c.Key},
		{Name: "due-" + c.Key, Stream: events.Parked, Filter: x.Bus.DueFilter(c.Key), Description: "executors of " + c.Key + ", requests that waited"},
	}
	if c.Webhook != nil {
		all = append(all, events.Consumer{Name: "webhook-" + c.Key, Stream: events.Webhooks, Filter: x.Bus.WebhookFilter(c.Key), Description: "executors of " + c.Key + ", webhooks"})
		all = append(all, events.Consumer{Name: dueWebhooks + c.Key, Stream: events.Parked, Filter: x.Bus.DueWebhookFilter(c.Key), Description: "executors of " + c.Key + ", webhooks that waited"})
	}
	for i := range all {
		// Not shared: a consumer that waits for messages holds its slots.
		all[i].Slots, all[i].AckWait = events.NewSlots(x.opts.Concurrency), x.opts.AckWait
		all[i].OnError = x.problem
	}
	return all
}

// problem logs what no caller can be told.
func (x *Executor) problem(err error) {
	x.metrics.problems.Inc()
	x.log.Warn().Err(err).Msg("executor")
}
