package receive

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Parts are what a receiver works with. All are required.
type Parts struct {
	Queue   *queue.Queue
	Service *connection.Service
	Store   *records.Connections
	Status  *records.StatusWriter
	Apps    *records.Apps
}

// Options of a receiver. All are required but AppSecrets, Metrics and Log.
type Options struct {
	BaseURL    string       // public URL, without a path
	BasePath   string       // of the API
	AppSecrets AppSecrets   // default: none
	HTTP       *http.Client // fetches providers' keys and confirmation URLs
	// GroupCommit stores webhooks that wait together by one batch.
	GroupCommit bool
	// Requests has a slot for each HTTP request that is handled now.
	Requests *semaphore.Weighted
	// ReportError is called for errors of a connection that are not the provider's.
	ReportError func(ctx context.Context, about events.EventContext, operation string, e *connectors.Error)
	// TenantShare is what one tenant's webhooks may fill of the stream, see [DefaultTenantShare].
	// 0: no limit.
	TenantShare float64
	Metrics     prometheus.Registerer
	Log         zerolog.Logger
}

// Receiver receives webhooks over HTTP. Safe for concurrent use.
type Receiver struct {
	service     *connection.Service
	connections *records.Connections
	urls        urls
	engines     *engines
	secrets     *secrets
	bodies      *bodies
	handshakes  *handshakes
	deliverer   *deliverer
	quarantine  *quarantine
	rejections  *rejections
	// unknownURLs bounds the lookups of URLs that belong to no connection.
	unknownURLs *rate.Limiter
	metrics     *metrics
}

// New returns a receiver, and the redriver of what it puts into quarantine.
func New(parts Parts, opts Options) (*Receiver, *Redriver) {
	m := newMetrics(opts.Metrics)
	recent := newRecent()
	engines := &engines{keys: webhook.NewKeys(&webhook.KeysOptions{HTTP: opts.HTTP})}
	secrets := &secrets{parts.Store, parts.Apps, opts.AppSecrets, opts.ReportError}
	rejections := &rejections{bus: parts.Queue.Bus, status: parts.Status, events: rate.NewLimiter(50, 100), metrics: m, log: opts.Log}
	quarantine := &quarantine{queue: parts.Queue, connections: parts.Store, recent: recent, evidenceRate: rate.NewLimiter(10, 100), metrics: m, log: opts.Log}
	var group *events.GroupCommit
	if opts.GroupCommit {
		group = events.NewGroupCommit(parts.Queue.Bus)
	}
	deliverer := &deliverer{
		budgets: newBudgets(parts.Queue.Streams, opts.TenantShare), connections: parts.Store, rejections: rejections, quarantine: quarantine,
		publisher: &publisher{parts.Queue, group, recent, rejections, m, opts.Log},
	}
	return &Receiver{
		service: parts.Service, connections: parts.Store, urls: urls{opts.BaseURL, opts.BasePath}, engines: engines,
		secrets: secrets, bodies: newBodies(opts.Requests), handshakes: newHandshakes(parts.Service, opts.HTTP, opts.Log),
		deliverer: deliverer, quarantine: quarantine, rejections: rejections,
		unknownURLs: rate.NewLimiter(unknownURLsPerSecond, unknownURLsBurst), metrics: m,
	}, &Redriver{parts.Service, engines, secrets, deliverer}
}

// Register adds the routes to mux, below the base path. Any method is routed, since
// handshakes use several.
func (v *Receiver) Register(mux *http.ServeMux) {
	for _, method := range []string{"", "POST "} { // most are posted, and the mux finds a pattern with a method sooner
		mux.HandleFunc(method+v.urls.basePath+"/connectors/{connector}/webhook/{secret}", v.counted(v.receive))
		mux.HandleFunc(method+v.urls.basePath+"/connectors/{connector}/webhook", v.counted(v.receiveApp))
	}
}

// counted is a handler of the deliveries that receive takes in: it writes refusals,
// and counts outcomes.
func (v *Receiver) counted(receive func(http.ResponseWriter, *http.Request) (outcome, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ended, err := receive(w, r)
		if err != nil {
			e := connectors.AsError(err)
			writeRefusal(w, e)
			ended = outcome(e.Code)
		}
		connector := r.PathValue("connector")
		if _, err := v.service.Connector(connector); err != nil {
			connector = "unknown" // callers must not add labels to the metric
		}
		v.metrics.webhooks.WithLabelValues(connector, string(ended)).Inc()
	}
}

// urls are the URLs of webhooks.
type urls struct{ baseURL, basePath string }

// maskedSegment stands for the secret of a webhook's URL.
const maskedSegment = "/***"

func (u urls) webhookPath(connector string) string {
	return u.basePath + "/connectors/" + connector + "/webhook"
}

// request is what verification sees of an HTTP request.
func (u urls) request(r *http.Request, body []byte) webhook.Request {
	return webhook.Request{
		Method: r.Method, PublicURL: u.baseURL + r.URL.RequestURI(), Header: r.Header,
		Query: r.URL.Query(), Body: body, Now: time.Now(),
	}
}

// engines are the webhook engines of definitions, each compiled once.
type engines struct {
	keys     *webhook.Keys
	compiled sync.Map // connector → *compiled
}

// compiled is a connector's webhook engine, for as long as the definition is current.
type compiled struct {
	definition *connectors.Connector
	engine     *webhook.Engine
}

func (e *engines) of(c *connectors.Connector) (*webhook.Engine, error) {
	if known, ok := e.compiled.Load(c.Key); ok && known.(*compiled).definition == c {
		return known.(*compiled).engine, nil
	}
	if c.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", c.Key)
	}
	engine, err := webhook.Compile(&c.Webhook.Descriptor, &webhook.Options{Keys: e.keys})
	if err != nil {
		return nil, connectors.Errorf(connectors.CodeInternal, "the webhook of %s cannot be used", c.Key)
	}
	e.compiled.Store(c.Key, &compiled{c, engine})
	return engine, nil
}
