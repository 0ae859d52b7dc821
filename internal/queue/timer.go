package queue

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// ScheduleRefresh sets the timer of a grant, in place of any that was set before.
func (q *Queue) ScheduleRefresh(ctx context.Context, grant string, at time.Time) error {
	m := &events.Message{Header: schedule(at, q.Subjects.RefreshDue(grant))}
	return q.publish(ctx, q.Subjects.RefreshTimer(grant), m, nil)
}

// ScheduleInactivity sets the timer that checks whether a connection still receives
// webhooks, in place of any that was set before.
func (q *Queue) ScheduleInactivity(ctx context.Context, account AccountRef, at time.Time) error {
	m := &events.Message{Header: schedule(at, q.Subjects.inactivityDue(account.tokens()))}
	subject := q.Bus.Subjects.Prefix() + ".parked.silence." + events.Fingerprint(account.tokens())
	return q.publish(ctx, subject, m, nil)
}

// ScheduleSubscription sets the timer at which a connection's webhook registration is looked
// after, in place of any that was set before.
func (q *Queue) ScheduleSubscription(ctx context.Context, account AccountRef, at time.Time) error {
	m := &events.Message{Header: schedule(at, q.Subjects.subscriptionDue(account.tokens()))}
	subject := q.Bus.Subjects.Prefix() + ".parked.subscription." + events.Fingerprint(account.tokens())
	return q.publish(ctx, subject, m, nil)
}
