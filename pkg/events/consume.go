package events

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
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
	error
	discard bool
	after   time.Duration
}

func (i instruction) Unwrap() error { return i.error }

// Discard tells the consumer never to hand the message out again.
func Discard(err error) error { return instruction{error: err, discard: true} }

// Again tells the consumer to hand the message out again after d.
func Again(d time.Duration, err error) error { return instruction{error: err, after: d} }

// Delivery is one message handed to a handler.
type Delivery struct {
	Subject  string
	Header   Header
	Data     []byte
	Sequence uint64    // in its stream
	Attempt  int       // 1 at the first delivery
	Stored   time.Time // when the stream took it
	Pending  uint64    // how many wait behind it
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
	// Slots bounds the handlers that run at once in this process. A consumer
	// that waits for messages holds the slots it has room for, so consumers that
	// share one make each other wait.
	Slots *Slots
	// OnError is told what could not be done (fetching, acknowledging). Optional.
	OnError func(error)
}

// Slots is a bound on work that runs at once. Make it with [NewSlots].
type Slots struct{ free chan struct{} }

// NewSlots returns n slots.
func NewSlots(n int) *Slots {
	s := &Slots{make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// acquire waits for a slot, then takes up to most that are free.
func (s *Slots) acquire(ctx context.Context, most int) int {
	select {
	case <-s.free:
	case <-ctx.Done():
		return 0
	}
	n := 1
	for n < most {
		select {
		case <-s.free:
			n++
		default:
			return n
		}
	}
	return n
}

func (s *Slots) release(n int) {
	for range n {
		s.free <- struct{}{}
	}
}

const (
	fetchWait  = time.Second // how long a drain may have to wait for a fetch to end
	fetchBatch = 128
)

// Consume hands messages to handle, each in a goroutine of its own, until ctx
// ends; then it waits for the handlers that run and returns nil. It asks the
// server for no more messages than there are free slots, so that none grows old
// in this process. A durable consumer that was deleted is made again. Handlers
// run under a context that outlives ctx: it ends when grace has ended it.
func (b *Bus) Consume(ctx, grace context.Context, c Consumer, handle func(context.Context, *Delivery) error) error {
	c = c.withDefaults()
	var running sync.WaitGroup
	defer running.Wait()
	var consumer jetstream.Consumer
	for attempt := 0; ctx.Err() == nil; {
		var err error
		if consumer == nil {
			consumer, err = b.ensureConsumer(ctx, c)
		}
		if err == nil {
			err = b.fetch(ctx, grace, consumer, c, &running, handle)
		}
		if err == nil || ctx.Err() != nil {
			attempt = 0
			continue
		}
		c.OnError(fmt.Errorf("consumer %s: %w", c.Name, err))
		consumer = nil
		attempt++
		wait(ctx, backoff(attempt))
	}
	return nil
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
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c
}

// EnsureConsumer creates or updates the durable consumer without taking from it.
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
		return nil, unavailable(err)
	}
	return consumer, nil
}

func (b *Bus) fetch(ctx, grace context.Context, consumer jetstream.Consumer, c Consumer, running *sync.WaitGroup, handle func(context.Context, *Delivery) error) error {
	slots := c.Slots.acquire(ctx, fetchBatch)
	if slots == 0 {
		return nil
	}
	defer func() { c.Slots.release(slots) }()
	batch, err := consumer.Fetch(slots, jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return unavailable(err)
	}
	for msg := range batch.Messages() {
		slots--
		running.Go(func() {
			defer c.Slots.release(1)
			b.deliver(grace, msg, c, handle)
		})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	return nil
}

// deliver runs the handler and carries out its instruction. A panic is a
// failure like any other.
func (b *Bus) deliver(ctx context.Context, msg jetstream.Msg, c Consumer, handle func(context.Context, *Delivery) error) {
	meta, err := msg.Metadata()
	if err != nil {
		c.OnError(fmt.Errorf("consumer %s: %w", c.Name, err))
		return
	}
	d := &Delivery{
		Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(),
		Sequence: meta.Sequence.Stream, Attempt: int(meta.NumDelivered), Stored: meta.Timestamp, Pending: meta.NumPending,
	}
	if d.Header == nil {
		d.Header = Header{}
	}
	stop := keepAlive(msg, c.AckWait/3)
	err = protect(func() error { return handle(ctx, d) })
	stop()
	var i instruction
	switch {
	case err == nil:
		err = msg.Ack()
	case errors.As(err, &i) && i.discard:
		err = msg.TermWithReason("discarded")
	case errors.As(err, &i):
		err = msg.NakWithDelay(i.after)
	default:
		c.OnError(fmt.Errorf("consumer %s, message %d, delivery %d: %w", c.Name, d.Sequence, d.Attempt, err))
		err = msg.NakWithDelay(backoff(d.Attempt))
	}
	if err != nil {
		c.OnError(fmt.Errorf("consumer %s, message %d: acknowledge: %w", c.Name, d.Sequence, err))
	}
}

// ErrPanic is what a handler's panic becomes; it does not carry the value,
// which may hold anything.
var ErrPanic = errors.New("events: the handler panicked")

func protect(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = ErrPanic
		}
	}()
	return f()
}

// keepAlive tells the server every interval that the message is being worked on.
// No timer fires, and no goroutine runs, for handlers faster than that.
func keepAlive(msg jetstream.Msg, every time.Duration) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	mu.Lock()
	timer = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped && msg.InProgress() == nil {
			timer.Reset(every)
		}
	})
	mu.Unlock()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// backoff grows from 0.25 s to 30 s, with jitter.
func backoff(attempt int) time.Duration {
	d := 250 * time.Millisecond << min(attempt-1, 7)
	d = min(d, 30*time.Second)
	return d/2 + rand.N(d/2+1)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
