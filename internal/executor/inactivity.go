package executor

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

// inactivity publishes webhook.silent for connections that usually receive webhooks and
// have received none for some time: the provider may have switched the webhook off. Every
// connection that receives webhooks has one timer in the stream of parked work.
type inactivity struct {
	queue       *queue.Queue
	connections *records.Connections
	lifecycle   *lifecycle
	after       time.Duration                 // the shortest time without a webhook that counts
	busyAfter   int                           // webhooks of a connection that usually receives some
	timers      *lru.Cache[string, time.Time] // key of the connection → when its timer is due
}

const (
	// inactiveGaps is for how many of its usual gaps a connection may receive nothing.
	inactiveGaps = 5
	// longestInactivity is the longest time before the event.
	longestInactivity = 7 * 24 * time.Hour
	maxTimers         = 10_000
)

func newTimers() *lru.Cache[string, time.Time] {
	timers, err := lru.New[string, time.Time](maxTimers)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return timers
}

// received sets the timer of a connection that has received a webhook.
func (i *inactivity) received(ctx context.Context, ref records.Ref) error {
	if due, set := i.timers.Get(ref.Key()); set && time.Now().Before(due) {
		return nil
	}
	due := time.Now().Add(i.after)
	if err := i.queue.ScheduleInactivity(ctx, queue.AccountRef{Tenant: ref.Tenant, Connector: ref.Connector, Account: ref.Account}, due); err != nil {
		return err
	}
	i.timers.Add(ref.Key(), due)
	return nil
}

// due handles a connection whose timer is due: it publishes the event, or sets the timer
// to when it would be time for it, or forgets the connection until its next webhook.
func (i *inactivity) due(ctx context.Context, message *events.StoredMessage) error {
	account, err := i.queue.Subjects.ParseInactivity(message.Subject)
	if err != nil {
		return events.Discard(err)
	}
	status, err := i.connections.Status(ctx, records.NewRef(account.Tenant, account.Connector, account.Account))
	if err != nil {
		return err
	}
	if status == nil || status.LastWebhook == nil {
		return nil // disconnected, or no webhook yet
	}
	limit := max(i.after, min(inactiveGaps*status.UsualGap(), longestInactivity))
	last := status.LastWebhook.At
	if next := last.Add(limit); time.Now().Before(next) {
		return i.queue.ScheduleInactivity(ctx, account, next)
	}
	if status.WebhooksSeen < i.busyAfter {
		return nil
	}
	about := events.EventContext{Tenant: account.Tenant, Connector: account.Connector, Account: account.Account}
	data := events.Data{DurationMs: events.Milliseconds(time.Since(last))}
	return i.lifecycle.store(ctx, lifecycleEvent{kind: events.WebhookSilent, about: about, data: data})
}
