package subscription

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// settleTimeout bounds the calls about one connection, and finishTimeout the storing of their
	// outcome, which a provider that does not answer must not prevent.
	settleTimeout = 40 * time.Second
	finishTimeout = 10 * time.Second
	leaseTime     = 60 * time.Second // outlasts both
)

// work is that on the registrations of one connection.
type work struct {
	runtime    *Runtime
	s          *records.Subscription
	connection *records.Connection // nil: there is none
	compare    bool                // also if that is not due
	current    *access             // of the connection; nil if there is none, or it is not usable
	failure    error
	retryIn    time.Duration // that a provider has asked for
	events     []pendingEvent
}

// pendingEvent is an event that is published after the outcome is stored.
type pendingEvent struct {
	kind events.Kind
	data events.Data
}

// Reconcile makes the registrations of a connection at its provider agree with what there should
// be, and sets the timer for the next time. With compare the provider's list is read in any case,
// where there is one. What a provider refuses is recorded and tried again later; an error means
// that the outcome could not be stored, or that the connection is being worked on.
func (r *Runtime) Reconcile(ctx context.Context, ref records.Ref, compare bool) error {
	if _, served := r.Calls.Connector(ref.Connector, ""); !served {
		return nil // its definition was removed: a sweep finds it if it comes back
	}
	lease, err := r.Leases.Acquire(ctx, "subscription."+events.Fingerprint(ref.Key()), "executor", leaseTime)
	if err != nil {
		return err
	}
	if lease == nil {
		return errBusy
	}
	defer r.Leases.Release(context.WithoutCancel(ctx), lease)
	w := &work{runtime: r, compare: compare}
	if w.s, err = r.Records.Latest(ctx, ref); err != nil {
		return err
	}
	w.connection, err = r.Connections.LatestOrUnreadable(ctx, ref)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		w.connection, err = nil, nil
	}
	if err != nil {
		return err
	}
	settling, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := w.settle(settling); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // this process ends: what has failed is not the provider's fault
	}
	finishing, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return w.finish(finishing)
}

// settle creates, renews and removes. The error says that the outcome could not be stored.
func (w *work) settle(ctx context.Context) error {
	if w.connection != nil && (w.connection.Unreadable() != nil || w.connection.Usable() != nil) {
		w.removeLeaving(ctx) // the others stay as long as they live: deliveries are kept
		return nil
	}
	wanted := false
	if w.connection != nil {
		a, ok, err := w.runtime.accessOf(w.connection)
		if err == nil && ok {
			wanted, w.current = a.hasRequired(), a
			err = w.runtime.open(ctx, a)
		}
		if err != nil {
			w.fail("create", err)
			return nil
		}
	}
	if !w.clearLost(ctx) {
		return nil
	}
	if wanted {
		if err := w.ensure(ctx); err != nil {
			return err
		}
	} else if live := w.s.In(records.RegistrationLive); live != nil {
		live.State = records.RegistrationLeaving
	}
	w.removeLeaving(ctx)
	return nil
}

// fail notes what has failed, and adds the event about it.
func (w *work) fail(operation string, err error) {
	e := connectors.AsError(err)
	if w.failure == nil {
		w.failure = e
	}
	if d, ok := connectors.RetryDelay(err); ok {
		w.retryIn = max(w.retryIn, d)
	}
	w.runtime.telemetry.failed(operation)
	w.addEvent(events.SubscriptionFailed, events.Data{Operation: operation, ErrorCode: string(e.Code), ErrorMessage: e.Message, Attempt: w.s.Failures + 1})
}

func (w *work) addEvent(kind events.Kind, data events.Data) {
	w.events = append(w.events, pendingEvent{kind, data})
}

// save stores what is known so far.
func (w *work) save(ctx context.Context) error { return w.runtime.Records.Save(ctx, w.s) }

// finish stores the outcome, sets the next timer, and publishes the events.
func (w *work) finish(ctx context.Context) error {
	now := time.Now()
	w.s.Code, w.s.RetryAt = "", time.Time{}
	live := w.s.In(records.RegistrationLive)
	if w.failure == nil {
		w.s.Failures = 0
	} else {
		w.s.Failures++
		w.s.Code, w.s.RetryAt = connectors.AsError(w.failure).Code, now.Add(w.retryDelay(live, now)).UTC()
	}
	w.warn(live, now)
	w.s.NextAt = w.next(live)
	if err := w.store(ctx); err != nil {
		return err
	}
	if w.connection != nil && w.connection.Unreadable() == nil {
		w.runtime.Status.Subscription(w.s.Ref(), w.status(live, now))
	}
	for _, t := range w.events {
		if t.kind == events.SubscriptionFailed && !w.s.RetryAt.IsZero() {
			t.data.NextAttemptAt = &w.s.RetryAt
		}
		w.runtime.Service.Announce(ctx, t.kind, w.about(), t.data)
	}
	if w.s.NextAt.IsZero() {
		return nil
	}
	return w.runtime.schedule(ctx, w.s.Ref(), w.s.NextAt)
}

func (w *work) store(ctx context.Context) error {
	if len(w.s.Registrations) == 0 && w.failure == nil {
		return w.runtime.Records.Delete(ctx, w.s)
	}
	return w.save(ctx)
}

// about returns the connection that events are about.
func (w *work) about() *records.Connection {
	if w.connection != nil {
		return w.connection
	}
	for _, r := range w.s.Registrations {
		if c, err := records.ParseSealed(r.Connection); err == nil {
			return c
		}
	}
	r := w.s.Ref()
	return &records.Connection{Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account}
}

// shortestRetry bounds how soon something is tried again because a registration ends.
const shortestRetry = 5 * time.Second

// retryDelay returns after how long to try again: sooner if a registration ends.
func (w *work) retryDelay(live *records.Registration, now time.Time) time.Duration {
	d := min(w.runtime.opts.FirstRetry<<min(w.s.Failures-1, 12), w.runtime.opts.CompareEvery)
	d = d/2 + rand.N(d/2+1)
	if live != nil && live.ExpiresAt.After(now) {
		d = min(d, max(live.ExpiresAt.Sub(now)/3, min(shortestRetry, w.runtime.opts.FirstRetry)))
	}
	return max(d, min(w.retryIn, 24*time.Hour))
}

// warn tells that a registration ends soon and is not renewed: the connection is not usable, or
// half of the time for renewing it has passed.
func (w *work) warn(live *records.Registration, now time.Time) {
	if live == nil || live.Warned || live.ExpiresAt.IsZero() {
		return
	}
	from, data := live.ExpiresAt.Add(-w.before(live)/2), events.Data{ErrorCode: string(w.s.Code)}
	if w.connection != nil && w.current == nil && w.connection.Unreadable() == nil {
		from = live.ExpiresAt.Add(-w.before(live))
		if err := w.connection.Usable(); err != nil {
			data.ErrorCode = string(connectors.AsError(err).Code)
		}
	}
	if now.Before(from) {
		return
	}
	live.Warned = true
	w.addEvent(events.SubscriptionExpiring, data)
}

// next returns when to look at the connection again, but for comparisons; zero for never.
func (w *work) next(live *records.Registration) time.Time {
	if !w.s.RetryAt.IsZero() {
		return w.s.RetryAt
	}
	if live == nil || live.ExpiresAt.IsZero() || w.current == nil && live.Warned {
		return time.Time{}
	}
	return live.ExpiresAt.Add(-w.before(live)).UTC()
}

// longestBefore bounds how long before its end a registration is renewed by default.
const longestBefore = 24 * time.Hour

// before returns how long before its end a registration is renewed.
func (w *work) before(live *records.Registration) time.Duration {
	lifetime := live.Lifetime()
	before := min(longestBefore, lifetime/4)
	if def, ok := w.runtime.Calls.Connector(w.s.Ref().Connector, ""); ok && def.Subscription != nil && def.Subscription.Renew != nil && def.Subscription.Renew.Before > 0 {
		before = time.Duration(def.Subscription.Renew.Before)
	}
	return min(before, lifetime/4*3) // what was just renewed is not due
}

func (w *work) status(live *records.Registration, now time.Time) records.SubscriptionStatus {
	s := records.SubscriptionStatus{At: now.UTC(), State: "none", Code: string(w.s.Code)}
	if live != nil {
		s.State = "live"
		if !live.ExpiresAt.IsZero() {
			s.ExpiresAt = &live.ExpiresAt
		}
	}
	if w.failure != nil {
		s.State = "failed"
	}
	return s
}
