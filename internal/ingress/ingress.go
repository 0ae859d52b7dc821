package ingress

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// DefaultBasePath is where the API lies below the base URL.
const DefaultBasePath = "/api/v1"

// Options of an ingress. Zero fields mean the default.
type Options struct {
	BaseURL  string // as providers reach us, e.g. https://hooks.example.com; no path
	BasePath string // default /api/v1
	// MostRequests bounds the requests handled at once; beyond it the answer is
	// 503. At most half of them wait for the result of an action. Default 4096.
	MostRequests int
	Apps         Apps // default: none
	// HTTP fetches providers' keys and the addresses that confirm a webhook. Give
	// one that keeps out of private networks. Default: a plain client.
	HTTP    *http.Client
	Metrics prometheus.Registerer // default: none
	Log     zerolog.Logger
}

// Parts are what an ingress works with. All are required.
type Parts struct {
	Bus         *events.Bus
	Service     *connection.Service
	Store       *connection.Connections
	Definitions *connection.Definitions
	Scopes      connection.Scopes
	Tokens      *connection.APITokens
	Status      *connection.StatusWriter
	OAuth       *oauth.Flow
	Apps        *connection.Apps
}

// Ingress faces the outside. Safe for concurrent use.
type Ingress struct {
	Parts
	opts    Options
	log     zerolog.Logger
	metrics *metrics
	slots   chan struct{} // requests at work
	waiting chan struct{} // those of them that wait for a result or a provider
	feeds   chan struct{} // event feeds
	closing chan struct{} // closed when what lasts has to end
	close   func()
	// rejections bounds the events about refused deliveries, which strangers can make
	// us emit, and troubles those about our own failures.
	rejections *rate.Limiter
	troubles   *rate.Limiter
	// guesses bounds the lookups of addresses that are nobody's.
	guesses *rate.Limiter
	// evidenceRate bounds what is kept of refused deliveries.
	evidenceRate *rate.Limiter
	roomAsked    atomic.Int64 // when the quarantine was last looked at, in Unix nanoseconds
	full         atomic.Bool  // it had no room for mere evidence then
	patience     deadlines
	recent       *recent
	handshakes   *limits
	large        chan struct{} // bodies above 1 MiB held at once
	bulky        chan struct{} // those above 64 KiB
	keys         *webhook.Keys
	engines      sync.Map // connector → *compiled
}

// compiled is a connector's webhook engine, for as long as the definition lives.
type compiled struct {
	definition *connectors.Connector
	engine     *webhook.Engine
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
	if o.MostRequests == 0 {
		o.MostRequests = 4096
	}
	if o.Apps == nil {
		o.Apps = EnvApps(func(string) string { return "" })
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: visitTimeout}
	}
	o.BaseURL, o.BasePath = strings.TrimSuffix(o.BaseURL, "/"), strings.TrimSuffix(o.BasePath, "/")
	closing := make(chan struct{})
	return &Ingress{
		closing: closing, close: sync.OnceFunc(func() { close(closing) }), feeds: make(chan struct{}, mostFeeds),
		Parts: parts, opts: o, log: o.Log.With().Str("role", "ingress").Logger(), metrics: newMetrics(o.Metrics),
		slots: make(chan struct{}, o.MostRequests), waiting: make(chan struct{}, max(o.MostRequests/2, 1)),
		rejections: rate.NewLimiter(50, 100), troubles: rate.NewLimiter(50, 100), evidenceRate: rate.NewLimiter(10, 100), handshakes: newLimits(), guesses: rate.NewLimiter(guessesPerSecond, guessesAtOnce),
		large: make(chan struct{}, mostLarge), bulky: make(chan struct{}, mostBulky), recent: newRecent(),
		keys: webhook.NewKeys(&webhook.KeysOptions{HTTP: o.HTTP}),
	}
}

// Run serves the control operations on NATS until ctx ends; those that run may
// finish until grace ends. Event feeds end with ctx. serving is called once they are served.
func (i *Ingress) Run(ctx, grace context.Context, serving func()) error {
	defer context.AfterFunc(ctx, i.close)()
	return i.control(ctx, grace, serving)
}

// engine returns the webhook engine of a definition, compiled once.
func (i *Ingress) engine(c *connectors.Connector) (*webhook.Engine, error) {
	if known, ok := i.engines.Load(c.Key); ok && known.(*compiled).definition == c {
		return known.(*compiled).engine, nil
	}
	if c.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", c.Key)
	}
	e, err := webhook.Compile(&c.Webhook.Descriptor, &webhook.Options{Keys: i.keys})
	if err != nil {
		return nil, connectors.Errorf(connectors.CodeInternal, "the webhook of %s cannot be used", c.Key)
	}
	i.engines.Store(c.Key, &compiled{c, e})
	return e, nil
}

// Handler is the HTTP side: the API below the base path.
func (i *Ingress) Handler() http.Handler { return i.observed(i.routes()) }
