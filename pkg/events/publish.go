package events

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxSubject bounds subjects; a server closes a connection for good at 4 KB.
const maxSubject = 1024

// PublishOptions of one publish. The zero value is a plain one.
type PublishOptions struct {
	// MsgID lets the stream drop a repetition inside its window. The window is
	// stream-wide: begin the id with the tenant and the connector.
	MsgID string
	// First publishes only if the subject holds no message; else [ErrExists].
	First bool
}

// Ack is the stream's word that it has the message.
type Ack struct {
	Sequence  uint64
	Duplicate bool // the stream had it already, by MsgID
}

// Pending is a publish under way.
type Pending struct {
	future jetstream.PubAckFuture
	bus    *Bus
}

// Publish stores e on subject and waits for the stream's ack, at most the bus's
// publish timeout. The trace of ctx travels with it. Errors: [ErrUnavailable]
// (it may be stored or not: repeat with the same MsgID, or First), [ErrExists],
// [ErrTooLarge].
func (b *Bus) Publish(ctx context.Context, subject string, e Event, opts *PublishOptions) (Ack, error) {
	p, err := b.PublishAsync(ctx, subject, e, opts)
	if err != nil {
		return Ack{}, err
	}
	return p.Wait(ctx)
}

// PublishAsync sends e without waiting; [Pending.Wait] tells what became of it.
// Several callers share one write to the network.
func (b *Bus) PublishAsync(ctx context.Context, subject string, e Event, opts *PublishOptions) (*Pending, error) {
	h, data := EncodeTraced(ctx, e)
	return b.PublishRaw(subject, h, data, opts)
}

// PublishRaw is PublishAsync of a message as it is. h is not changed after the call.
func (b *Bus) PublishRaw(subject string, h Header, data []byte, opts *PublishOptions) (*Pending, error) {
	if len(subject) > maxSubject || strings.ContainsAny(subject, "*> \t\r\n") {
		return nil, fmt.Errorf("events: subject of %d bytes: no wildcards or blanks, at most %d bytes", len(subject), maxSubject)
	}
	if opts != nil {
		if opts.MsgID != "" {
			h[jetstream.MsgIDHeader] = []string{opts.MsgID}
		}
		if opts.First {
			h[jetstream.ExpectedLastSubjSeqHeader] = []string{"0"}
		}
	}
	future, err := b.js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: h, Data: data})
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", subject, classify(err))
	}
	return &Pending{future, b}, nil
}

// Wait returns the stream's ack. See [Bus.Publish] for the errors.
func (p *Pending) Wait(ctx context.Context) (Ack, error) {
	select {
	case ack := <-p.future.Ok():
		return Ack{ack.Sequence, ack.Duplicate}, nil
	case err := <-p.future.Err():
		return Ack{}, fmt.Errorf("publish %s: %w", p.future.Msg().Subject, classify(err))
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("publish %s: %w", p.future.Msg().Subject, unavailable(ctx.Err()))
	}
}
