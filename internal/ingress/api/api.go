package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/events"
)

// Parts are what the API works with. All are required.
type Parts struct {
	Queue   *queue.Queue
	Service *connection.Service
	Tokens  *records.APITokens
	Audit   *audit.Trail
	OAuth   *flow.Service
	Apps    *records.Apps
	// Definitions are changed by operations; Bases is what a definition may extend.
	Definitions *records.Definitions
	Bases       manifest.Bases
	Redriver    *receive.Redriver
}

// Options of an API. All are required but Log.
type Options struct {
	BaseURL     string // public URL, without a path
	BasePath    BasePath
	HTTP        *http.Client // calls providers
	MaxRequests int
	// Quota is what one tenant's requests may take of the stream of requests.
	Quota queue.Quota
	// FeedsPerToken bounds the event feeds that one token reads at once. Default 128.
	FeedsPerToken int
	// Requests has a slot for each HTTP request that is handled now.
	Requests *semaphore.Weighted
	// Closing ends event feeds, and the waiting for results.
	Closing <-chan struct{}
	// ReportError is called for operations on a connection that failed.
	ReportError func(ctx context.Context, about events.EventContext, operation string, e *connectors.Error)
	Log         zerolog.Logger
}

// API is the management API. Safe for concurrent use.
type API struct {
	Parts
	opts       Options
	operations []operation
	// unknownTokens bounds the lookups of bearer tokens that are not valid.
	unknownTokens *rate.Limiter
}

// New returns the API. Register its routes, and Serve its operations on NATS.
func New(parts Parts, opts Options) *API {
	return &API{
		Parts: parts, opts: opts, operations: operations(parts), unknownTokens: rate.NewLimiter(unknownTokensPerSecond, unknownTokensBurst),
	}
}

// Register adds the API's routes to mux, below the base path.
func (a *API) Register(mux *http.ServeMux) {
	for _, op := range a.operations {
		if op.method != "" {
			a.handle(mux, op.name, op.method+" "+op.path, a.overHTTP(op))
		}
	}
	waiting := semaphore.NewWeighted(max(int64(a.opts.MaxRequests)/2, 1))
	act := &actions{
		bus: a.Queue.Bus, service: a.Service, base: a.opts.BasePath,
		resultsURL: a.opts.BaseURL + string(a.opts.BasePath) + "/results/", waiting: waiting, closing: a.opts.Closing,
		quotas: queue.NewQuotas(a.Queue, a.opts.Quota),
	}
	a.handle(mux, "actions.run", "POST "+onConnection+"/actions/{action}", act.run)
	a.handle(mux, "actions.run-default", "POST /connectors/{connector}/actions/{action}", act.run)
	a.handle(mux, "results.get", "GET /results/{id}", act.result)
	p := &proxy{service: a.Service, oauth: a.OAuth, http: a.opts.HTTP, base: a.opts.BasePath, waiting: waiting}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		a.handle(mux, "connections.proxy", method+" "+onConnection+"/proxy/{path...}", p.serve)
	}
	feeds := &feeds{
		queue: a.Queue, service: a.Service, tokens: a.Tokens, open: semaphore.NewWeighted(maxFeeds), requests: a.opts.Requests, closing: a.opts.Closing, log: a.opts.Log,
		each: cmp.Or(a.opts.FeedsPerToken, maxFeedsEach), served: map[string]int{},
	}
	a.handle(mux, "events.read", "GET /events", feeds.serve)
	a.handle(mux, "audit.export", "GET /audit/export", auditTrail{a.Audit}.export)
	announce := &operatorEvents{a.Queue.Bus, a.opts.Log}
	q := &quarantine{a.Queue, a.Redriver, announce}
	a.handle(mux, "quarantine.list", "GET /quarantine", answering(q.list))
	a.handle(mux, "quarantine.redrive", "POST /quarantine/{id}/redrive", answering(q.redrive))
	dead := &deadLetters{a.Queue, announce, act.resultsURL}
	a.handle(mux, "dead-letters.list", "GET /dead-letters", answering(dead.list))
	a.handle(mux, "dead-letters.redrive", "POST /dead-letters/{id}/redrive", answering(dead.redrive))
	replays := &replays{a.Queue, a.Service, announce, a.opts.BasePath}
	a.handle(mux, "webhooks.replay", "POST /webhooks/{id}/replay", answering(replays.one))
	a.handle(mux, "webhooks.body", "GET "+ofTenantsWebhook+"/body", bodies{replays}.serve)
	a.handle(mux, "connections.replay", "POST "+onConnection+"/replay", replays.ofConnection)
}

// handle adds the route of an operation.
func (a *API) handle(mux *http.ServeMux, operation, pattern string, handler http.HandlerFunc) {
	mux.HandleFunc(a.opts.BasePath.pattern(pattern), a.guarded(operation, handler))
}

// answering is a handler that answers with what f returns, as JSON.
func answering(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := f(r)
		answer(w, reply, err)
	}
}

func answer(w http.ResponseWriter, reply any, err error) {
	if err != nil {
		problem.Write(w, err)
		return
	}
	problem.WriteJSON(w, http.StatusOK, reply)
}
