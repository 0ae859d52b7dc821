package events

import (
	"cmp"
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// instruction is an error of a handler that says what happens to its message:
//
//	nil                 done: the message is acknowledged and, in a queue, removed
//	Discard(err)        never again: the message is terminated. Store what it led to
//	                    (a result, a dead letter) before
//	RetryIn(d, err)     deliver it again after d. For short delays only: the message
//	                    counts against MaxPending
//	any other error     deliver it again, with a backoff by its deliveries
type instruction struct {
	cause   error // may be nil
	discard bool
	delay   time.Duration
}

func (i instruction) Error() string {
	switch {
	case i.cause != nil:
		return i.cause.Error()
	case i.discard:
		return "discard"
	}
	return "retry in " + i.delay.String()
}

func (i instruction) Unwrap() error { return i.cause }

// Discard returns an error with which a handler has its message never delivered again.
func Discard(err error) error { return instruction{cause: err, discard: true} }

// RetryIn returns an error with which a handler has its message delivered again after d.
func RetryIn(d time.Duration, err error) error { return instruction{cause: err, delay: d} }

// Consumer describes a durable consumer and its use in this process. Name, Stream and
// Filter are required.
type Consumer struct {
	Name          string // durable, shared by every process that uses it
	Description   string
	Stream        Stream
	Filter        string        // one wildcard filter: many on one consumer are slow
	AckWait       time.Duration // default 30 s; extended while a handler runs
	MaxPending    int           // delivered and not acknowledged, in all processes; default 1000
	MaxDeliver    int           // deliveries of a message that is not acknowledged; default: no limit
	MaxConcurrent int           // handlers that run at once in this process; default 16
	// OnError is called with errors of pull requests, acks and handlers, from many
	// goroutines. Optional.
	OnError func(error)
	// Go runs a handler in a goroutine, of a pool for example. Default: a new one.
	Go func(func())
}

func (c Consumer) withDefaults() Consumer {
	c.AckWait = cmp.Or(c.AckWait, 30*time.Second)
	c.MaxPending = cmp.Or(c.MaxPending, 1000)
	c.MaxDeliver = cmp.Or(c.MaxDeliver, -1)
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, 16)
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	if c.Go == nil {
		c.Go = func(f func()) { go f() }
	}
	return c
}

// EnsureConsumer creates or updates the durable consumer. A pause that an operator has
// set stays.
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
