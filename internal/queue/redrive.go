package queue

import (
	"context"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/events"
)

// Redrive hands a dead letter out again: a webhook to its connector's handler, an
// action as a new request with the id of [DeadLetter.RedrivenID], since the old id
// has its result.
//
// If the caller fails before it removes the dead letter, the letter can be redriven
// again. An action is then the same request, answered once for as long as results are
// kept. A webhook is dropped by the stream as a repetition for two minutes; after that
// its handler runs once more with the same id, as it may after any crash.
func (q *Queue) Redrive(ctx context.Context, dead *events.StoredMessage) error {
	letter, err := q.Subjects.ReadDeadLetter(dead)
	if err != nil {
		return err
	}
	m, subject := copyOf(dead), dead.Header.Get(HeaderSubject)
	ctx = events.WithTrace(ctx, dead.Header) // the request's trace goes on
	delete(m.Header, events.HeaderAttempt)
	if letter.Kind == "webhook" {
		if _, err := q.Bus.Subjects.ParseWebhook(subject); err != nil {
			return err
		}
		msgID := "redriven/" + strconv.FormatUint(dead.Sequence, 10) + "/" + letter.ID
		return q.publish(ctx, q.Subjects.due(subject), m, &events.PublishOptions{MsgID: msgID})
	}
	m.SetID(letter.RedrivenID())
	delete(m.Header, "ce-"+events.ExtDeadline) // it has passed
	delete(m.Header, events.HeaderGeneratedID) // an earlier redrive may have used the new id
	return q.publish(ctx, q.Bus.Subjects.Action(letter.ActionRef), m, nil)
}

// RedrivenID returns the id of the request that a dead action becomes, the same each
// time that the letter is redriven.
func (l DeadLetter) RedrivenID() string {
	sequence := strconv.FormatUint(l.Sequence, 10)
	if id := l.ID + "-redriven-" + sequence; len(id) <= events.MaxRequestID {
		return id
	}
	return events.DerivedID(l.ID, "redriven/"+sequence)
}

// Replay publishes a stored webhook again, with the new id, "replayof" and a delivery
// token of its own, so that the stream does not refuse it as a repetition.
func (q *Queue) Replay(ctx context.Context, webhook *events.StoredMessage, newID string) error {
	delivery := events.DeliveryToken(events.Attribute(webhook.Header, events.ExtConnection), events.FromReplay, newID)
	subject := webhook.Subject[:strings.LastIndexByte(webhook.Subject, '.')+1] + delivery
	m := copyOf(webhook)
	m.SetExtension(events.ExtReplayOf, webhook.ID())
	m.SetID(newID)
	return q.publish(ctx, subject, m, &events.PublishOptions{ExpectEmpty: true})
}
