package ingress

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/connectpage"
	"github.com/hawser-io/hawser/internal/ingress/api"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/events"
)

// DefaultBasePath is where the API lies below the base URL.
const DefaultBasePath = "/api/v1"

// outboundTimeout bounds the calls of the default HTTP client.
const outboundTimeout = 10 * time.Second

// Options of an ingress. A zero field is the default.
type Options struct {
	BaseURL  string // public URL, e.g. https://hooks.example.com; no path
	BasePath string // default /api/v1
	// MaxRequests bounds the requests handled at once; beyond it the answer is 503. At
	// most half of them wait for the result of an action. Default 4096.
	MaxRequests int
	AppSecrets  receive.AppSecrets // default: none
	// HTTP fetches providers' keys and the URLs that confirm a webhook, and calls
	// providers' APIs. Its transport should refuse private networks. Default: a client
	// with a timeout.
	HTTP *http.Client
	// Quota is what one tenant's requests may take of the stream of requests.
	Quota queue.Quota
	// FeedsPerToken bounds the event feeds that one API token reads at once. Default 128.
	FeedsPerToken int
	// TenantShare is what one tenant's webhooks may fill of their stream once it is half
	// full. Default a quarter; negative: no limit.
	TenantShare float64
	// GroupCommit stores webhooks that wait together by one batch. It is faster where the
	// NATS server syncs every write, and slower elsewhere.
	GroupCommit bool
	Metrics     prometheus.Registerer // default: none
	Log         zerolog.Logger
}

// Parts are what an ingress works with. All are required.
type Parts struct {
	Queue   *queue.Queue
	Service *connection.Service
	Store   *records.Connections
	Tokens  *records.APITokens
	Status  *records.StatusWriter
	OAuth   *flow.Service
	Apps    *records.Apps
	// Definitions are changed by operations; Bases is what a definition may extend.
	Definitions *records.Definitions
	Bases       manifest.Bases
}

// Ingress is the HTTP server's handler and the NATS control service. Safe for
// concurrent use.
type Ingress struct {
	basePath api.BasePath
	receiver *receive.Receiver
	api      *api.API
	pages    *connectpage.Pages
	log      zerolog.Logger
	metrics  *metrics
	requests *semaphore.Weighted // has a slot for each request that is handled now
	close    func()              // ends event feeds, and the waiting for results
}

// New returns an ingress. Serve its Handler, and Run it.
func New(parts Parts, opts *Options) *Ingress {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.BasePath == "" {
		o.BasePath = DefaultBasePath
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 4096
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: outboundTimeout}
	}
	o.BaseURL, o.BasePath = strings.TrimSuffix(o.BaseURL, "/"), strings.TrimSuffix(o.BasePath, "/")
	log := o.Log.With().Str("role", "ingress").Logger()
	requests := semaphore.NewWeighted(int64(o.MaxRequests))
	failures := &errorEvents{bus: parts.Queue.Bus, rate: rate.NewLimiter(50, 100), log: log}
	closing := make(chan struct{})
	receiver, redriver := receive.New(receive.Parts{
		Queue: parts.Queue, Service: parts.Service, Store: parts.Store,
		Status: parts.Status, Apps: parts.Apps,
	}, receive.Options{
		BaseURL: o.BaseURL, BasePath: o.BasePath, AppSecrets: o.AppSecrets, HTTP: o.HTTP, GroupCommit: o.GroupCommit, TenantShare: cmp.Or(o.TenantShare, receive.DefaultTenantShare),
		Requests: requests, ReportError: failures.publish, Metrics: o.Metrics, Log: log,
	})
	return &Ingress{
		basePath: api.BasePath(o.BasePath), receiver: receiver,
		api: api.New(api.Parts{
			Queue: parts.Queue, Service: parts.Service, Tokens: parts.Tokens, Audit: audit.New(parts.Queue), OAuth: parts.OAuth, Apps: parts.Apps, Redriver: redriver,
			Definitions: parts.Definitions, Bases: parts.Bases,
		}, api.Options{
			BaseURL: o.BaseURL, BasePath: api.BasePath(o.BasePath), HTTP: o.HTTP, MaxRequests: o.MaxRequests, FeedsPerToken: o.FeedsPerToken, Quota: o.Quota,
			Requests: requests, Closing: closing, ReportError: failures.publish, Log: log,
		}),
		pages: connectpage.New(parts.OAuth, parts.Service),
		log:   log, metrics: newMetrics(o.Metrics), requests: requests, close: sync.OnceFunc(func() { close(closing) }),
	}
}

// Run serves the control operations on NATS until ctx ends; those that run may
// finish until grace ends. Event feeds and the waiting for results end with ctx. serving is called once they are served.
func (i *Ingress) Run(ctx, grace context.Context, serving func()) error {
	defer context.AfterFunc(ctx, i.close)()
	return i.api.Serve(ctx, grace, serving)
}

// Handler is the HTTP side: the API below the base path, pages and console.
func (i *Ingress) Handler() http.Handler { return i.observe(i.routes()) }

// errorEvents publishes error.occurred.
type errorEvents struct {
	bus  *events.Bus
	rate *rate.Limiter
	log  zerolog.Logger
}

// publish announces a failure that is not the caller's, and does not wait for the
// stream's ack: the caller gets the error anyway. While the store fails, no event
// could be stored either.
func (f *errorEvents) publish(ctx context.Context, about events.EventContext, operation string, e *connectors.Error) {
	if e.Code.HTTPStatus() < http.StatusInternalServerError || e.Code == connectors.CodeConnectorDatabaseFailed || !f.rate.Allow() {
		return
	}
	event := events.NewLifecycle("ingress", events.ErrorOccurred, about, events.Data{Operation: operation, ErrorCode: string(e.Code), ErrorMessage: e.Message})
	if _, err := f.bus.PublishAsync(ctx, f.bus.Subjects.Event(about.Tenant, about.Connector, events.ErrorOccurred), event, nil); err != nil {
		f.log.Warn().Err(err).Msg("error.occurred not published")
	}
}
