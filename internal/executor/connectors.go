package executor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/executor/fairness"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// serveConnectors consumes the requests and webhooks of every connector that is served and
// used, and follows the definitions: what is added is consumed, what is removed no longer. A
// definition that changes needs nothing: each request reads the current one.
func (x *Executor) serveConnectors(ctx, grace context.Context, v *validations) error {
	g, ctx := errgroup.WithContext(ctx)
	changed := x.served.definitions.Changed()
	again := time.NewTicker(time.Minute) // a change may have been missed
	defer again.Stop()
	running := map[string]*serving{}
	for {
		for key, s := range running {
			if c, ok := x.served.get(key); !ok || (c.Webhook != nil) != s.webhook {
				s.stop()
				delete(running, key)
			}
		}
		for _, c := range x.served.all() {
			v.add(ctx, c.Key, x.validation(c.Key))
			if running[c.Key] != nil {
				continue
			}
			used, err := x.served.used(ctx, c)
			if err != nil && ctx.Err() == nil {
				x.telemetry.problem(err) // it is asked about again
			}
			if !used {
				continue
			}
			of, stop := context.WithCancel(ctx)
			running[c.Key] = &serving{stop, c.Webhook != nil}
			g.Go(func() error { defer stop(); return x.serveConnector(of, grace, c) })
		}
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-changed:
		case <-x.served.connections.Used.Changed():
		case <-again.C:
		}
	}
}

// serving is one connector that is served.
type serving struct {
	stop    context.CancelFunc
	webhook bool // its webhooks are consumed too
}

// serveConnector consumes a connector's messages until ctx ends.
func (x *Executor) serveConnector(ctx, grace context.Context, c *connectors.Connector) error {
	if err := x.ensureConsumers(ctx, c); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	last, end := lastWrites(grace)
	defer end()
	limiter := fairness.NewLimiter[events.Tenant](x.opts.Concurrency)
	jump := &fairness.QueueJump{
		Queue: x.queue, Connector: c.Key, Consumer: x.newRequests(c.Key).Name, Limiter: limiter, Slots: x.opts.Concurrency,
		OnMoved: x.telemetry.moved.Inc, OnError: x.telemetry.problem,
	}
	g, ctx := errgroup.WithContext(ctx)
	consume := func(c events.Consumer, handle func(context.Context, *events.StoredMessage) error) {
		g.Go(func() error { return x.consume(ctx, grace, c, handle) })
	}
	consume(x.newRequests(c.Key), jump.Count(x.actions.handler(last, admitInTurn(ctx, limiter))))
	consume(x.dueRequests(c.Key), x.actions.handler(last, admitNowOrLater(ctx, limiter)))
	if c.Webhook != nil {
		consume(x.newWebhooks(c.Key), x.webhooks.received)
		consume(x.dueWebhooks(c.Key), x.webhooks.due)
	}
	g.Go(func() error { return jump.Run(ctx) })
	return g.Wait()
}
