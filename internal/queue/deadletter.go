package queue

import (
	"context"
	"strconv"

	"github.com/hawser-io/hawser/pkg/events"
)

// Headers of dead letters.
const (
	HeaderReason  = "Hawser-Reason"  // the code of the last error
	HeaderSubject = "Hawser-Subject" // the subject of the request or webhook
)

// DeadLetter stores a request as a dead letter: the request, the attempts made, and
// the code of the last error. A repetition within the stream's window is dropped.
// Errors as [events.Bus.PublishAction].
func (q *Queue) DeadLetter(ctx context.Context, a events.Action, reason string) error {
	if err := a.Check(); err != nil {
		return err
	}
	m := a.Message()
	m.Header[HeaderReason] = []string{reason}
	m.Header[HeaderSubject] = []string{q.Bus.Subjects.Action(a.ActionRef)}
	msgID := "dead/" + a.Reference()
	return q.publish(ctx, q.Subjects.DeadAction(a.ActionRef), m, &events.PublishOptions{MsgID: msgID})
}

// DeadLetterWebhook stores a webhook as a dead letter: the whole message, the
// attempts made, and the code of the last error. A body beside the message is copied
// to where it is kept as long as the dead letter, if there is room.
func (q *Queue) DeadLetterWebhook(ctx context.Context, webhook *events.StoredMessage, id string, attempts int, reason string) error {
	subject, err := q.Bus.Subjects.ParseWebhook(webhook.Subject)
	if err != nil {
		return err
	}
	m := copyOf(webhook)
	m.SetExtension(events.ExtDataRef, q.Bodies.retain(ctx, webhook))
	m.Header[events.HeaderAttempt] = []string{strconv.Itoa(attempts)}
	m.Header[HeaderReason] = []string{reason}
	m.Header[HeaderSubject] = []string{webhook.Subject}
	msgID := "dead/webhook/" + id + "/" + strconv.FormatUint(webhook.Sequence, 10)
	if webhook.Sequence == 0 {
		msgID = "" // it was redriven, and each redrive may end in a dead letter
	}
	return q.publish(ctx, q.Subjects.deadWebhook(subject), m, &events.PublishOptions{MsgID: msgID})
}

// DeadLetter is what a dead letter says about its request or webhook.
type DeadLetter struct {
	events.ActionRef        // Action is the action's key, or the token of a webhook's event type
	Kind             string // action or webhook
	Account          string
	ID               string // the request's or the webhook's
	Reason           string // the code of the last error
	Sequence         uint64 // of the dead letter
}

// ReadDeadLetter reads a message of the stream [Dead].
func (s Subjects) ReadDeadLetter(m *events.StoredMessage) (DeadLetter, error) {
	dead := DeadLetter{
		Account: events.Attribute(m.Header, events.ExtAccount), ID: m.ID(),
		Reason: m.Header.Get(HeaderReason), Sequence: m.Sequence,
	}
	if webhook, err := s.ParseWebhook(m.Subject); err == nil {
		dead.Kind = "webhook"
		dead.ActionRef = events.ActionRef{Tenant: webhook.Tenant, Connector: webhook.Connector, Action: webhook.Type}
		return dead, nil
	}
	dead.Kind = "action"
	var err error
	dead.ActionRef, err = s.ParseAction(m.Subject)
	return dead, err
}
