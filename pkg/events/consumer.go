package events

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A handler answers with an error as an instruction:
//
//	nil                 done: the message is acknowledged and, in a queue, gone
//	Discard(err)        never again: the message is taken out; its story must be
//	                    stored elsewhere before (a result, a dead letter)
//	RetryIn(d, err)     hand it out again after d; short delays only, since a
//	                    waiting message counts against MaxPending
//	any other error     hand it out again, with a backoff by attempt
type instruction struct {
	cause   error // may be nil
	discard bool
	after   time.Duration
}

func (i instruction) Error() string {
	switch {
	case i.cause != nil:
		return i.cause.Error()
	case i.discard:
		return "discard"
	}
	return "retry in " + i.after.String()
}

func (i instruction) Unwrap() error { return i.cause }

// Discard tells the consumer never to hand the message out again.
func Discard(err error) error { return instruction{cause: err, discard: true} }

// RetryIn tells the consumer to hand the message out again after d.
func RetryIn(d time.Duration, err error) error { return instruction{cause: err, after: d} }

// Consumer says what to take and how. Name, Stream and Filter are required.
type Consumer struct {
	Name          string // durable, shared by every process that uses it
	Description   string
	Stream        Stream
	Filter        string        // one wildcard filter: many on one consumer are slow
	AckWait       time.Duration // default 30 s; a running handler is kept alive beyond it
	MaxPending    int           // handed out and not acknowledged, all processes together; default 1000
	MaxDeliver    int           // backstop for crashes; default 20
	MaxConcurrent int           // handlers that run at once in this process; default 16
	// OnError is told what could not be done (fetching, acknowledging), and why
	// handlers failed. Optional. It is called from many goroutines.
	OnError func(error)
}

func (c Consumer) withDefaults() Consumer {
	if c.AckWait == 0 {
		c.AckWait = 30 * time.Second
	}
	if c.MaxPending == 0 {
		c.MaxPending = 1000
	}
	if c.MaxDeliver == 0 {
		c.MaxDeliver = 20
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = 16
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c
}

// EnsureConsumer creates or updates the durable consumer without taking from it.
// A pause that an operator has set stays.
func (b *Bus) EnsureConsumer(ctx context.Context, c Consumer) error {
	_, err := b.ensureConsumer(ctx, c.withDefaults())
	return err
}

func (b *Bus) ensureConsumer(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, b.Subjects.StreamName(c.Stream), jetstream.ConsumerConfig{
		Durable:       c.Name,
		Description:   c.Description,
		FilterSubject: c.Filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		MaxAckPending: c.MaxPending,
		MaxDeliver:    c.MaxDeliver,
	})
	if err != nil {
		return nil, b.checkStream(ctx, err, refused(err))
	}
	return consumer, nil
}

// refused returns an error of the server as it is, and any other as
// [ErrUnavailable].
func refused(err error) error {
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return err
	}
	return unavailable(err)
}
