// Package subscription keeps the webhooks of connections registered at providers whose API
// registers them. What happens to a connection sets its timer; the timer's message is handled by
// one executor, which compares what there should be, what is recorded, and what the provider
// lists, and makes them agree.
//
//	subscription.go  the parts, and what runs
//	reconcile.go     one connection: from its records to its next timer
//	ensure.go        create, renew, compare
//	remove.go        remove what is not wanted any more
//	access.go        what a call to the provider needs
//	sweep.go         the slow comparison of all connections
//	telemetry.go     metrics
package subscription

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Calls makes calls to providers with the credentials of connections.
type Calls interface {
	// Connectors returns those that this process serves.
	Connectors() []*connectors.Connector
	// Connector returns one of them, in the version if it is stored and not "".
	Connector(key, version string) (*connectors.Connector, bool)
	// Build returns a call for the connection, whose config is in the clear.
	Build(ctx context.Context, to *connectors.Connector, c *records.Connection, config json.RawMessage) (*connectors.Call, error)
}

// Parts are what the runtime works with. All are required.
type Parts struct {
	Queue       *queue.Queue
	Connections *records.Connections
	Service     *connection.Service
	Records     *records.Subscriptions
	Leases      *records.Leases
	Status      *records.StatusWriter
	Calls       Calls
}

// Options of a runtime. Zero fields mean the default.
type Options struct {
	// CompareEvery is the mean time between two comparisons of a connection with the
	// provider's list. Default 1 h.
	CompareEvery time.Duration
	// FirstRetry is the delay after a first failure; it doubles up to CompareEvery. Default 30 s.
	FirstRetry time.Duration
	// MeasureEvery is how often the gauges are set. Default 1 min.
	MeasureEvery time.Duration
	Metrics      prometheus.Registerer // default: none
	Log          zerolog.Logger
}

// Runtime keeps webhooks registered. Any number run side by side.
type Runtime struct {
	Parts

	opts      Options
	telemetry *telemetry
}

// New returns a runtime. It does nothing until Run.
func New(parts Parts, opts Options) *Runtime {
	opts.CompareEvery = cmp.Or(opts.CompareEvery, time.Hour)
	opts.FirstRetry = cmp.Or(opts.FirstRetry, 30*time.Second)
	opts.MeasureEvery = cmp.Or(opts.MeasureEvery, time.Minute)
	return &Runtime{parts, opts, newTelemetry(opts.Metrics, opts.Log)}
}

// Timers is the consumer of the timers that have fired.
func Timers(q *queue.Queue) events.Consumer {
	return events.Consumer{Name: "subscriptions", Stream: queue.Parked, Filter: q.Subjects.SubscriptionsDue(), Description: "webhook registrations that are due"}
}

// changes is the consumer of what happens to connections.
func changes(q *queue.Queue) events.Consumer {
	return events.Consumer{
		Name: "subscriptions", Stream: events.Lifecycle, Filter: q.Bus.Subjects.ConnectorEvents(),
		Description: "connections whose webhooks may have to be registered or removed",
	}
}

// Run works until ctx ends, then waits until grace ends for what is in progress.
func (r *Runtime) Run(ctx, grace context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	consume := func(c events.Consumer, handle func(context.Context, *events.StoredMessage) error) {
		c.OnError = r.telemetry.problem
		g.Go(func() error { return r.Queue.Bus.Consume(ctx, grace, c, handle) })
	}
	consume(Timers(r.Queue), r.due)
	consume(changes(r.Queue), r.changed)
	g.Go(func() error { return r.sweep(ctx) })
	g.Go(func() error { return r.measure(ctx) })
	return g.Wait()
}

// errBusy says that another process works on the connection's registrations.
var errBusy = errors.New("another process works on the registrations of the connection")

// busyRetry is after how long a connection is looked at again that another process works on.
const busyRetry = time.Second

// due handles a timer that has fired.
func (r *Runtime) due(ctx context.Context, message *events.StoredMessage) error {
	account, err := r.Queue.Subjects.ParseSubscription(message.Subject)
	if err != nil {
		return events.Discard(err)
	}
	err = r.Reconcile(ctx, records.NewRef(account.Tenant, account.Connector, account.Account), false)
	if errors.Is(err, errBusy) {
		return events.RetryIn(busyRetry, nil)
	}
	return err
}

// changed sets the timer of a connection that was made, changed or removed.
func (r *Runtime) changed(ctx context.Context, message *events.StoredMessage) error {
	event, err := events.Decode(message.Header, message.Data)
	if err != nil {
		return events.Discard(err)
	}
	key := events.Extension(event, events.ExtConnector)
	if c, ok := r.Calls.Connector(key, ""); !ok || c.Subscription == nil {
		return nil
	}
	tenant := events.Tenant{Scope: events.Extension(event, events.ExtScope), Identity: events.Extension(event, events.ExtIdentity)}
	return r.schedule(ctx, records.NewRef(tenant, key, events.Extension(event, events.ExtAccount)), time.Now())
}

func (r *Runtime) schedule(ctx context.Context, ref records.Ref, at time.Time) error {
	return r.Queue.ScheduleSubscription(ctx, queue.AccountRef{Tenant: ref.Tenant, Connector: ref.Connector, Account: ref.Account}, at)
}

// Endpoint answers requests to compare a connection's registrations now. It replies when they
// agree, or with the error.
func (r *Runtime) Endpoint() natsmicro.Endpoint {
	return natsmicro.Endpoint{Name: "subscription", Subject: r.Queue.Bus.Subjects.Subscription(), Handle: r.answer}
}

// answerTimeout bounds one comparison on demand.
const answerTimeout = 60 * time.Second

func (r *Runtime) answer(ctx context.Context, ask natsmicro.Request) natsmicro.Reply {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var request struct{ Key string }
	err := json.Unmarshal(ask.Data, &request)
	var ref records.Ref
	if err == nil {
		ref, err = records.ParseKey(request.Key)
	}
	if err != nil {
		return natsmicro.Reply{Code: string(connectors.CodeConnectorConfigInvalid), Text: "the request is not {\"key\": the key of a connection}"}
	}
	for {
		err = r.Reconcile(ctx, ref, true)
		if !errors.Is(err, errBusy) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(busyRetry / 10):
		}
	}
	if err != nil {
		e := connectors.AsError(err)
		return natsmicro.Reply{Code: string(e.Code), Text: e.Message}
	}
	return natsmicro.Reply{Data: []byte("{}")}
}
