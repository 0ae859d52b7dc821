package queue

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// Audit holds the audit trail. Its only subject is [Subjects.Audit].
const Audit events.Stream = "AUDIT"

// Audit is the subject of the audit trail.
func (s Subjects) Audit() string { return s.public.Prefix() + ".audit.entry" }

// Append stores a message as the one after the sequence last, and waits for the ack.
// [events.ErrExists] if another message is there, and nothing was stored; any other error
// is [events.ErrUnavailable], and the message may be stored.
func (q *Queue) Append(ctx context.Context, stream events.Stream, data []byte, last uint64) error {
	ctx, cancel := q.Bus.Deadline(ctx)
	defer cancel()
	_, err := q.Bus.JetStream().Publish(ctx, q.Subjects.Audit(), data,
		jetstream.WithExpectStream(q.Bus.Subjects.StreamName(stream)), jetstream.WithExpectLastSequence(last))
	if refusal, ok := errors.AsType[*jetstream.APIError](err); ok && refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return events.ErrExists
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
