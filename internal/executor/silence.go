package executor

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/events"
)

// A usually busy connection that hears nothing is worth a word: the provider may
// have switched the webhook off. Every connection that hears webhooks has one
// timer; what it costs grows with the timers that are due, not with the webhooks.

const (
	// silentGaps is how many of its usual gaps a connection may be quiet for.
	silentGaps = 5
	// longestSilence is the longest time after which somebody is told.
	longestSilence = 7 * 24 * time.Hour
	maxTimers      = 10_000
)

// timers remembers which timers were set, so that a webhook sets none that runs.
type timers struct {
	mu  sync.Mutex
	set *simplelru.LRU[string, time.Time] // key of the record → when it is due
}

func newTimers() *timers {
	set, err := simplelru.NewLRU[string, time.Time](maxTimers, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &timers{set: set}
}

// runs reports whether the timer of key runs; if not, it counts as set from now on.
func (t *timers) runs(key string, until time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if due, ok := t.set.Get(key); ok && time.Now().Before(due) {
		return true
	}
	t.set.Add(key, until)
	return false
}

// expectMore sets the timer of a connection that has just heard a webhook.
func (x *Executor) expectMore(ctx context.Context, ref connection.Ref) error {
	at := time.Now().Add(x.opts.SilentAfter)
	if x.timers.runs(ref.Key(), at) {
		return nil
	}
	return x.Bus.AwaitSilence(ctx, ref.Tenant, ref.Connector, ref.Account, at)
}

// silence looks at a connection whose timer is due: it says that it is silent, or
// sets the timer for the time at which it will be, or forgets it.
func (x *Executor) silence(ctx context.Context, d *events.Delivery) error {
	tenant, connector, account, err := x.Bus.ParseSilence(d.Subject)
	if err != nil {
		return events.Discard(err)
	}
	ref := connection.NewRef(tenant, connector, account)
	status, err := x.Store.Status(ctx, ref)
	if err != nil {
		return err
	}
	if status == nil || status.LastWebhook == nil {
		return nil // disconnected, or never heard of: the next webhook sets a timer
	}
	limit := max(x.opts.SilentAfter, min(silentGaps*status.UsualGap(), longestSilence))
	last := status.LastWebhook.At
	if next := last.Add(limit); time.Now().Before(next) {
		return x.Bus.AwaitSilence(ctx, tenant, connector, account, next)
	}
	if status.WebhooksSeen < x.opts.BusyAfter {
		return nil // not usually busy
	}
	e := events.NewLifecycle(x.opts.Role, events.WebhookSilent, events.About{Tenant: tenant, Connector: connector, Account: account},
		events.Data{DurationMs: events.Milliseconds(time.Since(last))})
	_, err = x.Bus.Publish(ctx, x.Bus.Event(tenant, connector, events.WebhookSilent), e, nil)
	return err
}

func (x *Executor) silences() events.Consumer {
	return events.Consumer{
		Name: "silence", Stream: events.Parked, Filter: x.Bus.DueSilences(),
		Description: "connections that hear no webhooks", Most: 8, OnError: x.problem,
	}
}
