// Package refresher is the role that renews OAuth tokens before they expire. Any number of
// refreshers share the work: the message of each due grant is delivered to one of them.
// The cost grows with the number of due grants, not with that of all grants.
//
//	refresher.go  the role, and the renewal of one grant
//	limits.go     how many grants of one connector are renewed at once
//	sweep.go      timers that were lost
package refresher

import (
	"cmp"
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
	// Concurrency bounds the due grants in this process; those of one connector are at
	// most half of them. Default 256: most of them wait.
	Concurrency int
	// PerProvider bounds the calls of one connector's provider at once, so that a slow
	// provider delays only its own grants. Default 16.
	PerProvider int
	Log         zerolog.Logger
	Now         func() time.Time
}

// Refresher renews the tokens of grants that are due.
type Refresher struct {
	parts  Parts
	opts   Options
	limits *limits
}

// New returns a refresher. It does nothing until Run.
func New(parts Parts, opts *Options) *Refresher {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	o.Concurrency = cmp.Or(o.Concurrency, 256)
	o.PerProvider = cmp.Or(o.PerProvider, 16)
	if o.Now == nil {
		o.Now = time.Now
	}
	limits := &limits{slots: o.PerProvider, maxGrants: max(o.Concurrency/2, 1), connectors: map[string]*limit{}}
	return &Refresher{parts: parts, opts: o, limits: limits}
}

// Run works until ctx ends, then waits until grace ends for the renewals that have begun.
// It calls serving once the role is listed as a NATS micro service.
func (r *Refresher) Run(ctx, grace context.Context, serving func()) error {
	consumer := events.Consumer{
		Name: "refresher", Stream: queue.Refresh, Filter: r.parts.Queue.Subjects.RefreshesDue(), Description: "grants that are due",
		MaxConcurrent: r.opts.Concurrency, OnError: r.problem,
	}
	service := natsmicro.Service{Name: "hawser-refresher", Version: "1.0.0", Description: "renews OAuth tokens"}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.parts.Queue.Bus.Consume(ctx, grace, consumer, r.due) })
	g.Go(func() error { return r.sweep(ctx) })
	g.Go(func() error { return r.adoptTimers(ctx, consumer) })
	g.Go(func() error { return natsmicro.Serve(ctx, grace, r.parts.Queue.Bus, service, serving) })
	return g.Wait()
}

// due handles a grant whose timer has fired. It returns nil once the grant is renewed or
// revoked, or its next timer is set; until then the message stays in the stream.
func (r *Refresher) due(ctx context.Context, message *events.StoredMessage) error {
	key := r.parts.Queue.Subjects.ParseRefreshDue(message.Subject)
	g, err := r.parts.Grants.Latest(ctx, key)
	if errors.Is(err, records.ErrNotFound) || key == "" {
		return nil // disconnected
	}
	if err != nil {
		return err
	}
	work := r.renew
	switch g.State {
	case records.GrantUnused:
		work = r.revoke
	case records.GrantLive:
		if err := r.parts.Tokens.Notifier.WarnBeforeExpiry(ctx, g); err != nil {
			return err
		}
		if !token.Due(g, r.opts.Now()) {
			return r.parts.Tokens.Scheduler.Schedule(ctx, g) // only the warning was due, or nothing
		}
	default:
		return nil
	}
	err = r.limits.run(ctx, g.Connector, func(slot token.AcquireSlot) error { return work(ctx, g, slot) })
	if busy, ok := errors.AsType[*busyError](err); ok {
		return r.retryIn(ctx, g, busy.retryIn)
	}
	return err
}

func (r *Refresher) revoke(ctx context.Context, g *records.Grant, slot token.AcquireSlot) error {
	release, err := slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return r.parts.Tokens.Revoker.Revoke(ctx, g)
}

func (r *Refresher) renew(ctx context.Context, g *records.Grant, slot token.AcquireSlot) error {
	_, err := r.parts.Tokens.Source.RenewIfDue(ctx, g, slot)
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		switch {
		case e.Code == connectors.CodeConnectorOAuthRefreshFailed:
			return nil // oauth.needs_reauth is published
		case e.RetryAfter > 0:
			return r.retryIn(ctx, g, e.RetryAfter)
		}
	}
	return err // nil: the next timer is set
}

// retryIn sets the timer of a grant. To return an error instead would count as one of the
// deliveries of the message, which are limited.
func (r *Refresher) retryIn(ctx context.Context, g *records.Grant, d time.Duration) error {
	return r.parts.Queue.ScheduleRefresh(ctx, g.Key(), r.opts.Now().Add(d))
}

// problem logs an error that is returned to no caller.
func (r *Refresher) problem(err error) {
	r.opts.Log.Warn().Str("role", "refresher").Err(err).Msg("refresher")
}
