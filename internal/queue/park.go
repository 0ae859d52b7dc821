package queue

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// headerSequence is the sequence of the webhook that a parked message is about.
const headerSequence = "Hawser-Sequence"

// Park stores a request to be published at the given time on [Subjects.DueAction]. A
// request that is parked again replaces the one that waits. Only the attributes in
// [events.Action] are stored: no other header of a client becomes an instruction to
// the server. Errors as [events.Bus.PublishAction].
func (q *Queue) Park(ctx context.Context, a events.Action, at time.Time) error {
	if err := a.Check(); err != nil {
		return err
	}
	m := a.Message()
	maps.Copy(m.Header, schedule(at, q.Subjects.DueAction(a.ActionRef)))
	return q.publish(ctx, q.Subjects.parked(a.Reference()), m, nil)
}

// ParkWebhook has a stored webhook handed out again at the given time. The parked
// message holds the webhook's sequence, or the whole webhook where that is 0, which
// is a webhook that was redriven. id identifies the webhook: parking it again
// replaces the message that waits.
func (q *Queue) ParkWebhook(ctx context.Context, webhook *events.StoredMessage, id string, attempts int, at time.Time) error {
	m := &events.Message{Header: events.Header{headerSequence: {strconv.FormatUint(webhook.Sequence, 10)}}}
	if webhook.Sequence == 0 {
		m = copyOf(webhook)
	}
	m.Header[events.HeaderAttempt] = []string{strconv.Itoa(attempts)}
	maps.Copy(m.Header, schedule(at, q.Subjects.due(webhook.Subject)))
	return q.publish(ctx, q.Subjects.parkedWebhook(id), m, nil)
}

// DueWebhook returns the webhook that a due message is about: the one with its
// sequence, or the message itself (Sequence 0) where the webhook was redriven.
// [events.ErrNotFound] if the stream no longer holds it.
func (q *Queue) DueWebhook(ctx context.Context, due *events.StoredMessage) (*events.StoredMessage, error) {
	subject := q.Subjects.origin(due.Subject)
	if _, err := q.Bus.Subjects.ParseWebhook(subject); err != nil {
		return nil, fmt.Errorf("%w: %w", events.ErrSubject, err)
	}
	header := due.Header.Get(headerSequence)
	if header == "" {
		return &events.StoredMessage{Subject: subject, Header: due.Header, Data: due.Data, NumDelivered: 1, Stored: due.Stored}, nil
	}
	sequence, err := strconv.ParseUint(header, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: the header %s is not a number", events.ErrSubject, headerSequence)
	}
	webhook, err := q.Streams.Message(ctx, events.Webhooks, sequence)
	if err == nil && webhook.Subject != subject {
		return nil, events.ErrNotFound
	}
	return webhook, err
}

// schedule returns the headers that have the server publish a message on target at a
// time.
//
// The time has nanoseconds. The client's option truncates it to the second, and the
// server would publish early.
func schedule(at time.Time, target string) events.Header {
	return events.Header{
		jetstream.ScheduleHeader:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
		jetstream.ScheduleTargetHeader: {target},
	}
}

// copyOf returns a message to publish with the headers of a stored one, without
// instructions to the server and without those of parked messages and dead letters.
func copyOf(m *events.StoredMessage) *events.Message {
	h := make(events.Header, len(m.Header))
	for name, values := range m.Header {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") && name != HeaderReason && name != HeaderSubject && name != headerSequence {
			h[name] = values
		}
	}
	return &events.Message{Header: h, Data: m.Data}
}
