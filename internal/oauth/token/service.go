// Package token keeps OAuth tokens fresh, for any number of processes. A refresh token
// that rotates is spent once: two processes that used it would lose the grant.
//
//	service.go     Service: the package's parts, assembled
//	source.go      Source: a fresh token; one renewal per grant and process at a time
//	renewal.go     one renewal under a lease: intent, request, outcome
//	request.go     the token request that renews a grant
//	companion.go   companion tokens, exchanged for the main grant's tokens
//	outcome.go     GrantWriter: tokens stored by revision
//	failure.go     what a failed request changes in the grant
//	grantserver.go the authorization server of a grant
//	schedule.go    when a token is renewed; Scheduler: the grant's timer
//	notify.go      Notifier: events of a grant, and its connections' state
//	references.go  References: grants that their last connection has left
//	revoke.go      Revoker: revocation at the provider, now or later
//	connections.go Connections: disconnect, resolve and refresh of one connection
//	transport.go   an HTTP transport that adds the token and renews it after a 401
//
// One refresh, across all processes:
//
//	fresh? ─▶ single flight ─▶ lease (server TTL) ─▶ leader read, fresh? ─▶
//	intent stored (generation+1) ─▶ token endpoint ─▶ stored by revision ─▶ used
package token

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
)

// Parts are the dependencies of a [Service]. All are required.
type Parts struct {
	Queue       *queue.Queue
	Connections *connection.Service
	Grants      *records.Grants
	Leases      *records.Leases
	Servers     *endpoint.Servers
	HTTP        *http.Client // for providers, see internal/safehttp
	// ReconnectURL returns a link by which a user authorises a connection again.
	ReconnectURL func(*records.Connection) string
}

// Options of a [Service]. Zero fields mean the default.
type Options struct {
	// CallTimeout bounds one call of a token endpoint. Default 20 s.
	CallTimeout time.Duration
	Metrics     prometheus.Registerer // default: none
	Log         zerolog.Logger
	Now         func() time.Time
}

// Service is the package, assembled. Each role uses the fields that it needs.
type Service struct {
	Source      *Source      // fresh tokens
	Connections *Connections // disconnect, resolve and refresh of one connection
	Grants      *GrantWriter // grants of new authorisations
	References  *References  // grants without a connection
	Revoker     *Revoker     // revocation at the provider
	Scheduler   *Scheduler   // the timers of grants
	Notifier    *Notifier    // events of grants, and their connections' state
	Client      endpoint.Client
	Parts       Parts
	Options     Options

	background *sync.WaitGroup
}

// New assembles the package.
func New(parts Parts, opts *Options) *Service {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 20 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hawser_oauth_refreshes_total", Help: "Calls of token endpoints for a refresh, by connector and outcome.",
	}, []string{"connector", "outcome"})
	if o.Metrics != nil {
		o.Metrics.MustRegister(calls)
	}
	client := endpoint.Client{HTTP: parts.HTTP, Timeout: o.CallTimeout, Now: o.Now}
	background := &sync.WaitGroup{}
	s := &Service{Client: client, Parts: parts, Options: o, background: background}
	s.Scheduler = &Scheduler{queue: parts.Queue, opts: o}
	s.Revoker = &Revoker{
		grants: parts.Grants, servers: parts.Servers, client: client, scheduler: s.Scheduler,
		connections: parts.Connections, calls: calls, background: background, opts: o,
	}
	s.References = &References{grants: parts.Grants, connections: parts.Connections, revoker: s.Revoker, background: background, opts: o}
	s.Notifier = &Notifier{connections: parts.Connections, grants: parts.Grants, references: s.References, reconnectURL: parts.ReconnectURL, opts: o}
	s.Grants = &GrantWriter{grants: parts.Grants, scheduler: s.Scheduler, notifier: s.Notifier, revoker: s.Revoker, opts: o}
	s.Source = newSource(parts.Grants, &renewer{
		grants: parts.Grants, leases: parts.Leases, client: client, writer: s.Grants, calls: calls, background: background, opts: o,
		servers: &grantServers{servers: parts.Servers, connections: parts.Connections, references: s.References},
	})
	s.Connections = &Connections{service: parts.Connections, servers: parts.Servers, source: s.Source, references: s.References, opts: o}
	return s
}

// Drain waits for the work that outlives its callers, such as renewals under way, until
// ctx ends.
func (s *Service) Drain(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.background.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Warn logs a failure that no caller receives.
func (o Options) Warn(err error) { o.Log.Warn().Err(err).Msg("oauth") }
