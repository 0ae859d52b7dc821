package executor

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/subscription"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Options of an executor. Zero fields mean the default.
type Options struct {
	// Concurrency bounds the handlers of one connector that run at once in this process,
	// so that a slow provider delays no other. One tenant alone gets at most three
	// quarters of it. Default 64.
	Concurrency int
	// UnservedAfter is how long a request to a connector that is not registered may lie
	// before it is answered CONNECTOR_NOT_FOUND. Default 3 s.
	UnservedAfter time.Duration
	// AckWait is how long a message lies whose executor has ended, before it is delivered
	// to another one. Default 30 s.
	AckWait time.Duration
	// ServingLease is how long after the end of the last executor with a connector's code
	// its requests wait for another one, before they are answered CONNECTOR_UNAVAILABLE.
	// Default 15 min.
	ServingLease time.Duration
	// SilentAfter is the shortest time without a webhook after which webhook.silent is
	// published for a connection that usually receives some. Default 10 min.
	SilentAfter time.Duration
	// BusyAfter is how many webhooks a connection must have received for that. Default 20.
	BusyAfter int
	// Quota is what one tenant's requests may take of the stream of requests.
	Quota queue.Quota
	// SkipNotifications leaves out the events action.started and webhook.received.
	SkipNotifications bool
	// Tokens are those of connections that have a grant. Without it, connectors with OAuth
	// are refused.
	Tokens *token.Source
	// Subscriptions keep webhooks registered at providers. Without them none are.
	Subscriptions *Subscriptions
	Metrics       prometheus.Registerer // default: none
	Log           zerolog.Logger
	// Role is the source of events, default "executor".
	Role string
}

// Parts are what an executor works with. All are required.
type Parts struct {
	Queue       *queue.Queue
	Registry    *connectors.Registry
	Connections *records.Connections
	Definitions *records.Definitions
	Scopes      connection.Scopes
	Claims      *records.Claims
	Status      *records.StatusWriter
	HTTP        *http.Client // for providers, see internal/safehttp
	Serving     *records.Serving
}

// Executor runs the actions and webhook handlers of the connectors in its registry.
type Executor struct {
	queue     *queue.Queue
	served    served
	opts      Options
	telemetry *telemetry
	workers   *workers

	actions     *actions
	webhooks    *webhooks
	inactivity  *inactivity
	unprocessed *unprocessed
	sweeper     *sweeper
	calls       *callService
	validator   *validator
	subscribed  *subscription.Runtime // may be nil
}

// New returns an executor. It does nothing until Run.
func New(parts Parts, opts *Options) *Executor {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	o.Concurrency = cmp.Or(o.Concurrency, 64)
	o.UnservedAfter = cmp.Or(o.UnservedAfter, 3*time.Second)
	o.ServingLease = cmp.Or(o.ServingLease, 15*time.Minute)
	o.AckWait = cmp.Or(o.AckWait, 30*time.Second)
	o.SilentAfter = cmp.Or(o.SilentAfter, 10*time.Minute)
	o.BusyAfter = cmp.Or(o.BusyAfter, 20)
	o.Role = cmp.Or(o.Role, "executor")

	x := &Executor{queue: parts.Queue, served: served{parts.Registry, parts.Definitions, parts.Connections}, opts: o}
	x.telemetry = newTelemetry(o.Metrics, o.Log.With().Str("role", o.Role).Logger())
	x.workers = &workers{problem: x.telemetry.problem}
	lifecycle := &lifecycle{bus: x.queue.Bus, role: o.Role, skipNotifications: o.SkipNotifications, telemetry: x.telemetry}
	calls := &callBuilder{connections: parts.Connections, http: parts.HTTP, tokens: o.Tokens}
	x.inactivity = &inactivity{
		queue: x.queue, connections: parts.Connections, lifecycle: lifecycle, timers: newTimers(),
		after: o.SilentAfter, busyAfter: o.BusyAfter,
	}
	x.actions = newActions(parts, x.telemetry, lifecycle, &attempts{
		calls: calls, workers: x.workers, transport: parts.HTTP.Transport, claims: &claims{parts.Claims}, lifecycle: lifecycle, running: x.telemetry.running,
	}, o.AckWait)
	x.webhooks = &webhooks{
		queue: x.queue, served: x.served, inactivity: x.inactivity, status: parts.Status, lifecycle: lifecycle, telemetry: x.telemetry,
		runner: &webhookRunner{
			queue: x.queue, connections: parts.Connections, calls: calls, workers: x.workers, transport: parts.HTTP.Transport, running: x.telemetry.running,
		},
	}
	x.unprocessed = &unprocessed{queue: x.queue, actions: x.actions, webhooks: x.webhooks}
	lease := &serviceLease{
		served: x.served, records: parts.Serving, duration: o.ServingLease, began: time.Now(), problem: x.telemetry.problem, until: map[string]reading{},
	}
	quotas := queue.NewQuotas(x.queue, o.Quota)
	x.sweeper = &sweeper{
		queue: x.queue, quotas: quotas, served: x.served, unprocessed: x.unprocessed, lease: lease, after: o.UnservedAfter,
		orphans: queue.NewOrphans(x.queue.Streams, o.UnservedAfter), telemetry: x.telemetry,
	}
	x.calls = &callService{queue: x.queue, quotas: quotas, definitions: parts.Definitions}
	x.subscribed = o.Subscriptions.runtime(parts, o, calls)
	x.validator = &validator{connections: parts.Connections, calls: calls, workers: x.workers, transport: parts.HTTP.Transport, telemetry: x.telemetry}
	return x
}

func newActions(parts Parts, telemetry *telemetry, lifecycle *lifecycle, attempts *attempts, ackWait time.Duration) *actions {
	results := &results{
		bus: parts.Queue.Bus, lifecycle: lifecycle, status: parts.Status, telemetry: telemetry, suspendedAfter: ackWait / 3,
	}
	return &actions{
		subjects: parts.Queue.Subjects, results: results, telemetry: telemetry,
		resolver:   &resolver{served: served{parts.Registry, parts.Definitions, parts.Connections}, scopes: parts.Scopes, connections: parts.Connections},
		attempts:   attempts,
		outcomes:   &outcomes{queue: parts.Queue, results: results, claims: attempts.claims, lifecycle: lifecycle, telemetry: telemetry},
		quarantine: &quarantine{bus: parts.Queue.Bus, telemetry: telemetry},
	}
}

// Prepare publishes the definitions of the connectors whose code this executor has, and
// creates the consumers of all that it serves, so that a request published after it returns
// waits for an executor.
func (x *Executor) Prepare(ctx context.Context) error {
	if err := x.served.definitions.Publish(ctx, x.served.registry.All()); err != nil {
		return err
	}
	for _, c := range x.served.all() {
		if used, err := x.served.used(ctx, c); err != nil || !used {
			if err != nil {
				return err
			}
			continue
		}
		if err := x.ensureConsumers(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (x *Executor) ensureConsumers(ctx context.Context, c *connectors.Connector) error {
	consumers := []events.Consumer{x.newRequests(c.Key), x.dueRequests(c.Key)}
	if c.Webhook != nil {
		consumers = append(consumers, x.newWebhooks(c.Key), x.dueWebhooks(c.Key))
	}
	for _, consumer := range consumers {
		if err := x.queue.Bus.EnsureConsumer(ctx, consumer); err != nil {
			return err
		}
	}
	return nil
}

// Run works until ctx ends, then takes no more messages, waits until grace ends for the
// handlers that run, and returns nil. It calls serving once calls are served.
func (x *Executor) Run(ctx, grace context.Context, serving func()) error {
	stop, err := x.workers.start()
	if err != nil {
		return err
	}
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return x.consume(ctx, grace, x.advisories(), x.unprocessed.maxDeliveries) })
	g.Go(func() error { return x.consume(ctx, grace, x.inactivityTimers(), x.inactivity.due) })
	service, validations := x.service()
	g.Go(func() error { return x.serveConnectors(ctx, grace, validations) })
	g.Go(func() error { return natsmicro.Serve(ctx, grace, x.queue.Bus, service, serving) })
	g.Go(func() error { return x.sweeper.run(ctx) })
	if x.subscribed != nil {
		g.Go(func() error { return x.subscribed.Run(ctx, grace) })
	}
	g.Go(func() error { return x.sweeper.lease.run(ctx) })
	return g.Wait()
}

func (x *Executor) consume(ctx, grace context.Context, c events.Consumer, handle func(context.Context, *events.StoredMessage) error) error {
	return x.queue.Bus.Consume(ctx, grace, c, handle)
}
