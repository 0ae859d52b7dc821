package executor

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Options of an executor. Zero fields mean the default.
type Options struct {
	// Concurrency bounds the handlers of one connector that run at once in this
	// process, so that a slow provider holds up only itself. One tenant alone gets
	// at most three quarters of it. Default 64.
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
	Store       *connection.Connections
	Definitions *connection.Definitions
	Scopes      connection.Scopes
	Claims      *connection.Claims
	Status      *connection.StatusWriter
	HTTP        *http.Client // for providers, see internal/safehttp
	// OAuth is the way to the tokens of connections that have a grant.
	OAuth *oauth.Tokens
}

// Executor runs the actions of the connectors in its registry.
type Executor struct {
	Parts
	opts    Options
	metrics *metrics
	flights singleFlight
	timers  *timers
	crew    crew
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
	if o.AckWait == 0 {
		o.AckWait = 30 * time.Second
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
	return &Executor{Parts: parts, opts: o, metrics: newMetrics(o.Metrics), timers: newTimers(), crew: newCrew(), log: o.Log.With().Str("role", o.Role).Logger()}
}

// Prepare makes this executor's connectors known, and their consumers exist, so
// that a request published after it returns waits for an executor.
func (x *Executor) Prepare(ctx context.Context) error {
	if err := x.Definitions.Publish(ctx, x.Registry.All()); err != nil {
		return err
	}
	for _, c := range x.Registry.All() {
		consumers := []events.Consumer{x.newRequests(c), x.dueRequests(c)}
		if c.Webhook != nil {
			consumers = append(consumers, x.webhooks(c), x.dueWebhooks(c))
		}
		for _, consumer := range consumers {
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
	last, end := lastWrites(grace)
	defer end()
	consume := func(c events.Consumer, handle func(context.Context, *events.Delivery) error) {
		g.Go(func() error { return x.Bus.Consume(ctx, grace, c, handle) })
	}
	for _, c := range x.Registry.All() {
		gate := newGate(x.opts.Concurrency)
		line := &overtaking{Executor: x, connector: c, gate: gate}
		consume(x.newRequests(c), line.counted(x.performing(last, inTurn(gate, ctx.Done()))))
		consume(x.dueRequests(c), x.performing(last, atOnce(gate, ctx.Done())))
		if c.Webhook != nil {
			consume(x.webhooks(c), x.received)
			consume(x.dueWebhooks(c), x.dueWebhook)
		}
		g.Go(func() error { return line.run(ctx) })
	}
	consume(x.advisories(), x.ranOut)
	consume(x.silences(), x.silence)
	g.Go(func() error { return x.serve(ctx, grace, serving) })
	g.Go(func() error { return x.sweep(ctx) })
	return g.Wait()
}

func (x *Executor) performing(last context.Context, admit admission) func(context.Context, *events.Delivery) error {
	return func(ctx context.Context, d *events.Delivery) error { return x.perform(ctx, last, d, admit) }
}

// newRequests are the requests for a connector, as they were published. This
// process holds up to twice as many as can run, so that others than the first
// tenant's are among them.
func (x *Executor) newRequests(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: newName(c), Stream: events.Actions, Filter: x.Bus.ActionFilter(c.Key),
		Description: "executors of " + c.Key, Most: 2 * x.opts.Concurrency,
	})
}

func newName(c *connectors.Connector) string { return "action-" + c.Key }

// dueRequests are those whose time has come (again). They are run or parked, and
// hardly wait in this process.
func (x *Executor) dueRequests(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "due-" + c.Key, Stream: events.Parked, Filter: x.Bus.DueFilter(c.Key),
		Description: "executors of " + c.Key + ", requests that waited", Most: 2 * x.opts.Concurrency,
	})
}

func (x *Executor) webhooks(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "webhook-" + c.Key, Stream: events.Webhooks, Filter: x.Bus.WebhookFilter(c.Key),
		Description: "executors of " + c.Key + ", webhooks", Most: x.opts.Concurrency,
	})
}

// dueWebhooks are those whose handler is to be called again. No connector's key has
// an underscore, so no other consumer has the name.
func (x *Executor) dueWebhooks(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "due_webhook-" + c.Key, Stream: events.Parked, Filter: x.Bus.DueWebhookFilter(c.Key),
		Description: "executors of " + c.Key + ", webhooks that waited", Most: x.opts.Concurrency,
	})
}

func (x *Executor) consumer(c events.Consumer) events.Consumer {
	c.AckWait, c.OnError = x.opts.AckWait, x.problem
	return c
}

// problem logs what no caller can be told.
func (x *Executor) problem(err error) {
	x.metrics.problems.Inc()
	x.log.Warn().Err(err).Msg("executor")
}
