package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/pkg/crypto"
)

type (
	ingressCommand struct {
		shared
		remote `set:"http=127.0.0.1:8080"`
	}
	executorCommand struct {
		shared
		remote `set:"http=127.0.0.1:8081"`
	}
	refresherCommand struct {
		shared
		remote `set:"http=127.0.0.1:8082"`
	}
)

// Run starts an ingress that joins a NATS system.
func (c *ingressCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, "ingress", c.shared, c.remote, roles{ingress: true})
}

// Run starts an executor that joins a NATS system.
func (c *executorCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, "executor", c.shared, c.remote, roles{executor: true})
}

// Run starts a refresher that joins a NATS system.
func (c *refresherCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, "refresher", c.shared, c.remote, roles{refresher: true})
}

// roles says which roles a process plays.
type roles struct{ ingress, executor, refresher bool }

// join runs roles against a NATS system elsewhere.
func (p *program) join(ctx context.Context, name string, s shared, r remote, play roles) error {
	if err := s.check(); err != nil {
		return err
	}
	log := s.logger(p)
	keys, err := crypto.Load(r.Keyset, nil)
	if err != nil {
		return err
	}
	nc, err := connect("hawser-"+name, r, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	listener, err := net.Listen("tcp", r.HTTP)
	if err != nil {
		return fmt.Errorf("listen on --http %s: %w", r.HTTP, err)
	}
	n, err := newNode(ctx, name, s, baseURL(s, listener), nc, keys, log, p.own)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// Every role calls providers: executors their APIs, the others token endpoints.
	if err := n.joinDemo(); err != nil {
		return errors.Join(err, listener.Close())
	}
	return n.play(ctx, listener, play, func() {
		fmt.Fprintf(p.stderr, "hawser is ready: %s at http://%s, nats at %s\n", name, listener.Addr(), nc.ConnectedUrlRedacted())
	})
}

func baseURL(s shared, listener net.Listener) string {
	if s.BaseURL != "" {
		return s.BaseURL
	}
	return "http://" + listener.Addr().String()
}

// play runs the roles until ctx ends, then drains: take nothing new, let what is
// in flight finish within the grace period, flush. ready is called once
// everything answers.
func (n *node) play(ctx context.Context, listener net.Listener, play roles, ready func()) error {
	grace, endGrace := context.WithCancel(context.WithoutCancel(ctx))
	defer endGrace()
	stopTimer := context.AfterFunc(ctx, func() {
		time.AfterFunc(n.settings.Grace, endGrace)
	})
	defer stopTimer()

	if err := n.keepTokens(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	var ex *executor.Executor
	if play.executor {
		var err error
		if ex, err = n.executor(); err == nil {
			err = ex.Prepare(ctx)
		}
		if err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	var in *ingress.Ingress
	if play.ingress {
		in = n.ingress()
	}
	// Health and caches outlive the work that needs them.
	background, stopBackground := context.WithCancel(grace)
	helpers := n.keepFresh(background)

	g, ctx := errgroup.WithContext(ctx)
	var starting sync.WaitGroup
	start := func(run func(ctx, grace context.Context, serving func()) error) {
		starting.Add(1)
		serving := sync.OnceFunc(starting.Done)
		g.Go(func() error { defer serving(); return run(ctx, grace, serving) })
	}
	var api http.Handler
	if play.ingress {
		api = in.Handler()
		start(in.Run)
	}
	if play.executor {
		start(ex.Run)
	}
	if play.refresher {
		start(refresher.New(refresher.Parts{Queue: n.queue, Tokens: n.oauth, Grants: n.grants, Leases: n.leases}, &refresher.Options{Log: n.log}).Run)
	}
	g.Go(func() error { return serveHTTP(ctx, grace, listener, n.probes(api)) })
	starting.Wait()
	if ctx.Err() == nil {
		ready()
	}
	err := g.Wait()
	n.oauth.Drain(grace) // tokens that a provider has just given are stored first
	stopBackground()
	err = errors.Join(err, helpers.Wait())
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if flushErr := n.queue.Bus.Flush(flush); flushErr != nil {
		n.problem(flushErr)
	}
	return err
}

// keepFresh runs what keeps caches current and writes health.
func (n *node) keepFresh(ctx context.Context) *errgroup.Group {
	var g errgroup.Group
	g.Go(func() error { return n.store.Run(ctx) })
	g.Go(func() error { return n.tokens.Run(ctx) })
	g.Go(func() error { return n.grants.Run(ctx) })
	g.Go(func() error { return n.apps.Run(ctx) })
	g.Go(func() error { return n.definitions.Run(ctx, n.problem) })
	g.Go(func() error { return n.status.Run(ctx, n.problem) })
	return &g
}

func (n *node) ingress() *ingress.Ingress {
	outward := *n.http
	outward.Timeout = 10 * time.Second
	return ingress.New(ingress.Parts{
		Queue: n.queue, Service: n.service, Store: n.store, Definitions: n.definitions, Scopes: n.scopes, Tokens: n.tokens, Status: n.status,
		Apps: n.apps,
		OAuth: flow.New(flow.Parts{
			Tokens: n.oauth, Flows: records.NewFlows(n.buckets, n.store.Sealer()), Sessions: records.NewSessions(n.buckets),
			Links: n.links, ReturnURLs: n.settings.ReturnURLs,
		}),
	}, &ingress.Options{
		AppSecrets: receive.EnvAppSecrets(os.Getenv), HTTP: &outward,
		BaseURL: n.baseURL, BasePath: n.settings.BasePath + "/", Metrics: n.metrics, Log: n.log,
	})
}

func (n *node) executor() (*executor.Executor, error) {
	return executor.New(executor.Parts{
		Queue: n.queue, Registry: n.registry, Store: n.store, Definitions: n.definitions, Scopes: n.scopes,
		Claims: records.NewClaims(n.buckets), Status: n.status, HTTP: n.http, OAuth: n.oauth.Source,
	}, &executor.Options{
		Concurrency: n.settings.Concurrency, SkipNotifications: n.settings.Notifications == "off", Metrics: n.metrics, Log: n.log,
	}), nil
}

// serveHTTP serves until ctx ends, then lets requests finish until grace ends.
func serveHTTP(ctx, grace context.Context, listener net.Listener, handler http.Handler) error {
	server := ingress.NewServer(handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	<-failed
	return nil
}
