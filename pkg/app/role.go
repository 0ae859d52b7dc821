package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/crypto"
)

type (
	ingressCommand struct {
		shared
		remote      `set:"http=127.0.0.1:8080"`
		GroupCommit bool `help:"Store concurrent webhooks together: faster where a single NATS server has sync_interval always, slower elsewhere."`
	}
	executorCommand struct {
		shared
		remote `set:"http=127.0.0.1:8081"`
		offer
	}
	refresherCommand struct {
		shared
		remote `set:"http=127.0.0.1:8082"`
	}
)

// Run starts an ingress that joins a NATS system.
func (c *ingressCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, joining{name: "ingress", shared: c.shared, remote: c.remote, roles: roles{ingress: true}, groupCommit: c.GroupCommit})
}

// Run starts an executor that joins a NATS system.
func (c *executorCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, joining{name: "executor", shared: c.shared, remote: c.remote, roles: roles{executor: true}, offer: c.offer})
}

// Run starts a refresher that joins a NATS system.
func (c *refresherCommand) Run(ctx context.Context, p *program) error {
	return p.join(ctx, joining{name: "refresher", shared: c.shared, remote: c.remote, roles: roles{refresher: true}})
}

// roles says which roles a process runs.
type roles struct{ ingress, executor, refresher bool }

// joining is what a program that joins a NATS system is started with.
type joining struct {
	name        string
	shared      shared
	remote      remote
	roles       roles
	groupCommit bool
	offer       offer
}

// join runs roles against a NATS system elsewhere.
func (p *program) join(ctx context.Context, j joining) error {
	s, r := j.shared, j.remote
	if err := s.check(); err != nil {
		return err
	}
	offered, err := j.offer.load()
	if err != nil {
		return err
	}
	log := s.logger(p)
	keys, err := crypto.Load(r.Keyset, nil)
	if err != nil {
		return err
	}
	nc, err := connect("hawser-"+j.name, r, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	listener, err := net.Listen("tcp", r.HTTP)
	if err != nil {
		return fmt.Errorf("listen on --http %s: %w", r.HTTP, err)
	}
	defer func() { _ = listener.Close() }()
	n, err := newNode(ctx, nodeOptions{
		role: j.name, settings: s, baseURL: baseURL(s, listener), nc: nc.Conn, denied: nc.denied, keys: keys, log: log, connectors: p.own, groupCommit: j.groupCommit,
		servesAPI: j.roles.ingress, flags: p.flags,
	})
	if err != nil {
		return err
	}
	if err := n.definitions.Publish(ctx, offered); err != nil {
		return err
	}
	// Every role calls providers: executors their APIs, the others token endpoints.
	if r.Demo {
		err = n.joinDemo()
	}
	if err != nil {
		return err
	}
	return n.run(ctx, listener, j.roles, func() {
		serves := ""
		if j.roles.executor && !n.servesConnectors() {
			serves = "; it serves no connector yet"
			n.log.Warn().Msg("this executor serves no connector: none is compiled into it, and no stored definition works without code; " +
				"build a program with connectors (app.Executor), or offer some (--catalogue, --connectors, 'hawser connectors apply')")
		}
		fmt.Fprintf(p.stderr, "hawser is ready: %s at http://%s, nats at %s%s\n", j.name, listener.Addr(), redactURLs(nc.ConnectedUrl()), serves)
	})
}

func baseURL(s shared, listener net.Listener) string {
	if s.BaseURL != "" {
		return s.BaseURL
	}
	return "http://" + listener.Addr().String()
}

// run runs the roles until ctx ends, then drains: it accepts no new work, waits for what
// is in flight, at most for the grace period, and flushes. ready is called once
// everything serves.
func (n *node) run(ctx context.Context, listener net.Listener, play roles, ready func()) error {
	grace, endGrace := context.WithCancel(context.WithoutCancel(ctx))
	defer endGrace()
	stopTimer := context.AfterFunc(ctx, func() {
		time.AfterFunc(n.settings.Grace, endGrace)
	})
	defer stopTimer()

	if err := n.openProviders(ctx); err != nil {
		return err
	}
	var ex *executor.Executor
	if play.executor {
		var err error
		if ex, err = n.executor(); err == nil {
			err = n.start.step(ctx, "prepare the consumers", ex.Prepare)
		}
		if err != nil {
			return err
		}
	}
	var in *ingress.Ingress
	if play.ingress {
		in = n.ingress()
	}
	// Caches and the status writer run until the work that needs them has ended.
	background, stopBackground := context.WithCancel(grace)
	helpers := n.runCaches(background)

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
	if n.restart != nil {
		g.Go(func() error { return n.superviseStore(ctx) })
	}
	g.Go(func() error { return serveHTTP(ctx, grace, listener, n.probes(api)) })
	starting.Wait()
	if ctx.Err() == nil {
		ready()
	}
	err := g.Wait()
	n.oauth.Drain(grace) // tokens that a provider has just issued are stored first
	stopBackground()
	err = errors.Join(err, helpers.Wait())
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if flushErr := n.queue.Bus.Flush(flush); flushErr != nil {
		n.problem(flushErr)
	}
	return err
}

// runCaches runs the watches of the caches, and the status writer.
func (n *node) runCaches(ctx context.Context) *errgroup.Group {
	var g errgroup.Group
	g.Go(func() error { return n.store.Run(ctx) })
	g.Go(func() error { return n.tokens.Run(ctx) })
	g.Go(func() error { return n.grants.Run(ctx) })
	g.Go(func() error { return n.apps.Run(ctx) })
	g.Go(func() error { return n.definitions.Run(ctx, n.problem) })
	g.Go(func() error { return n.status.Run(ctx, n.problem) })
	g.Go(func() error { return n.health.run(ctx) })
	g.Go(func() error { return n.recordMarks(ctx) })
	return &g
}

func (n *node) ingress() *ingress.Ingress {
	outward := *n.http
	outward.Timeout = 10 * time.Second
	return ingress.New(ingress.Parts{
		Queue: n.queue, Service: n.service, Store: n.store, Tokens: n.tokens, Status: n.status,
		Apps: n.apps, Definitions: n.definitions, Bases: catalog.Bases,
		OAuth: flow.New(flow.Parts{
			Tokens: n.oauth, Flows: records.NewFlows(n.buckets, n.store.Sealer()), Sessions: records.NewSessions(n.buckets),
			Links: n.links, ReturnURLs: n.settings.ReturnURLs,
		}),
	}, &ingress.Options{
		AppSecrets: receive.AppSecrets(os.Getenv), HTTP: &outward,
		BaseURL: n.baseURL, BasePath: n.settings.BasePath + "/", GroupCommit: n.groupCommit, Quota: n.settings.quota(), FeedsPerToken: n.settings.FeedsPerToken, TenantShare: tenantShare(n.settings.WebhookShare), Metrics: n.metrics, Log: n.log,
	})
}

func (n *node) executor() (*executor.Executor, error) {
	return executor.New(executor.Parts{
		Queue: n.queue, Registry: n.registry, Connections: n.store, Definitions: n.definitions, Scopes: n.scopes,
		Claims: records.NewClaims(n.buckets), Status: n.status, HTTP: n.http, Serving: records.NewServing(n.buckets),
	}, &executor.Options{
		Subscriptions: &executor.Subscriptions{Service: n.service, Records: records.NewSubscriptions(n.buckets), Leases: n.leases},
		Quota:         n.settings.quota(), Tokens: n.oauth.Source, Concurrency: n.settings.Concurrency, SkipNotifications: n.settings.Notifications == "off", Metrics: n.metrics, Log: n.log,
	}), nil
}

// servesConnectors reports whether an executor here has a connector to serve.
func (n *node) servesConnectors() bool {
	return len(n.registry.All()) > 0 || slices.ContainsFunc(n.definitions.All(), (*connectors.Connector).Declarative)
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

// tenantShare returns the setting as [ingress.Options] has it, where 0 is the default.
func tenantShare(setting float64) float64 {
	if setting == 0 {
		return -1
	}
	return setting
}
