package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A handler answers with an error as an instruction:
//
//	nil                 done: the message is acknowledged and, in a queue, gone
//	Discard(err)        never again: the message is taken out; its story must be
//	                    stored elsewhere before (a result, a dead letter)
//	Again(d, err)       hand it out again after d; short delays only, since a
//	                    waiting message occupies a place ([Bus.Park] for long ones)
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
	return "again after " + i.after.String()
}

func (i instruction) Unwrap() error { return i.cause }

// Discard tells the consumer never to hand the message out again.
func Discard(err error) error { return instruction{cause: err, discard: true} }

// Again tells the consumer to hand the message out again after d.
func Again(d time.Duration, err error) error { return instruction{cause: err, after: d} }

// Delivery is one message handed to a handler.
type Delivery struct {
	Subject  string
	Header   Header
	Data     []byte
	Sequence uint64    // in its stream
	Attempt  int       // 1 at the first delivery
	Stored   time.Time // when the stream took it
}

// Consumer says what to take and how. Name, Stream and Filter are required.
type Consumer struct {
	Name        string // durable, shared by every process that uses it
	Description string
	Stream      Stream
	Filter      string        // one wildcard filter: many on one consumer are slow
	AckWait     time.Duration // default 30 s; a running handler is kept alive beyond it
	MaxPending  int           // handed out and not acknowledged, all processes together; default 1000
	MaxDeliver  int           // backstop for crashes; default 20
	Most        int           // handlers that run at once in this process; default 16
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
	if c.Most == 0 {
		c.Most = 16
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
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, b.Stream(c.Stream), jetstream.ConsumerConfig{
		Durable:       c.Name,
		Description:   c.Description,
		FilterSubject: c.Filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		MaxAckPending: c.MaxPending,
		MaxDeliver:    c.MaxDeliver,
	})
	if err != nil {
		return nil, b.heal(ctx, err, refused(err))
	}
	return consumer, nil
}
