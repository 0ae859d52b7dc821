// Package refresher is the role that renews OAuth tokens before they expire. Any
// number of refreshers share the work: each due grant is handed to one of them.
// What it costs grows with what is due, not with what exists.
//
// refresher.go the role, and what it does with a grant that is due
// share.go what one provider may have of a refresher
// sweep.go heals timers that were lost
package refresher

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Parts are what a refresher works with. All are required.
type Parts struct {
	Queue  *queue.Queue
	Tokens *token.Service
	Grants *records.Grants
	Leases *records.Leases
}

// Options of a refresher. Zero fields mean the default.
type Options struct {
	// Concurrency bounds the grants that are looked at at once; one provider may
	// have half of them. Default 256: most of them wait.
	Concurrency int
	// PerProvider bounds the calls to one connector's token endpoint, so that a
	// slow provider holds up only its own. Default 16.
	PerProvider int
	Log         zerolog.Logger
	Now         func() time.Time
}

// Refresher renews what is due.
type Refresher struct {
	Parts
	opts Options

	shares *shares
}

// New returns a refresher; Run it.
func New(parts Parts, opts *Options) *Refresher {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.Concurrency == 0 {
		o.Concurrency = 256
	}
	if o.PerProvider == 0 {
		o.PerProvider = 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Refresher{Parts: parts, opts: o, shares: newShares(o.Concurrency, o.PerProvider)}
}

// Run works until ctx ends, and lets what is in flight finish until grace ends.
// serving is called once it shows as a NATS micro service.
func (r *Refresher) Run(ctx, grace context.Context, serving func()) error {
	consumer := events.Consumer{
		Name: "refresher", Stream: queue.Refresh, Filter: r.Queue.Subjects.RefreshesDue(), Description: "grants whose time has come",
		MaxConcurrent: r.opts.Concurrency, OnError: r.problem,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Queue.Bus.Consume(ctx, grace, consumer, r.due) })
	g.Go(func() error { return r.sweep(ctx) })
	g.Go(func() error {
		return natsmicro.Serve(ctx, grace, r.Queue.Bus, natsmicro.Service{Name: "hawser-refresher", Version: "1.0.0", Description: "renews OAuth tokens"}, serving)
	})
	return g.Wait()
}

// due looks at a grant whose timer has fired. Until it returns nil the message
// stays, so that a refresher that dies hands the grant on.
func (r *Refresher) due(ctx context.Context, d *events.StoredMessage) error {
	key := r.Queue.Subjects.ParseRefreshDue(d.Subject)
	g, err := r.Grants.Latest(ctx, key)
	if errors.Is(err, records.ErrNotFound) || key == "" {
		return nil // disconnected since
	}
	if err != nil {
		return err
	}
	switch g.State {
	case records.GrantUnused:
	case records.GrantLive:
		if err := r.Tokens.Notifier.WarnBeforeExpiry(ctx, g); err != nil {
			return err
		}
		if !token.Due(g, r.opts.Now()) {
			return r.Tokens.Scheduler.Schedule(ctx, g) // a stray timer, or only the warning was due
		}
	default:
		return nil
	}
	of, later := r.shares.enter(g.Connector)
	if of == nil {
		// Set again, not handed back: the server counts deliveries, and gives up.
		return r.Queue.ScheduleRefresh(ctx, key, r.opts.Now().Add(later))
	}
	defer r.shares.leave(of)
	if err := of.begin(ctx); err != nil {
		return err
	}
	defer of.end(time.Now())
	if g.State == records.GrantUnused {
		done, err := of.call(ctx)
		if err != nil {
			return err
		}
		defer done()
		return r.Tokens.Revoker.Revoke(ctx, g)
	}
	_, err = r.Tokens.Source.RenewIfDue(ctx, g, of.call)
	e, coded := errors.AsType[*connectors.Error](err)
	switch {
	case err == nil:
		return nil // and the next timer is set
	case coded && e.Code == connectors.CodeConnectorOAuthRefreshFailed:
		return nil // its owner has been told
	case coded && e.RetryAfter > 0:
		return r.Queue.ScheduleRefresh(ctx, key, r.opts.Now().Add(e.RetryAfter))
	}
	return err
}

// problem logs what no caller can be told.
func (r *Refresher) problem(err error) {
	r.opts.Log.Warn().Str("role", "refresher").Err(err).Msg("refresher")
}
