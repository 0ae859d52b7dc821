package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// fetchWait is how long a pull waits at the server, and so how long the end
	// of Consume may have to wait for it: a pull that is given up on could still
	// be answered with a message that nobody would see until its AckWait.
	fetchWait  = time.Second
	fetchBatch = 128
	// longestRetry bounds how long a consumer stays away after its server, its
	// stream or its durable has come back.
	longestRetry = 2 * time.Second
)

// Consume hands messages to handle, each in a goroutine of its own, until ctx
// ends; then it waits for the handlers that run, and for their acks to leave this
// process, and returns nil.
//
// At most one message waits here for a slot, with its AckWait kept from running
// out; all others stay at the server, for whoever is free. No slot is held while
// there is no message, so consumers that share slots do not wait for each other.
// A durable consumer that was deleted is made again, and so is its stream if
// [Bus.Ensure] made it.
//
// Handlers run under grace, which should outlive ctx: its end tells them that the
// time to finish is over.
func (b *Bus) Consume(ctx, grace context.Context, c Consumer, handle func(context.Context, *Delivery) error) error {
	l := &loop{bus: b, Consumer: c.withDefaults(), handle: handle}
	defer l.finish(grace)
	for failures := 0; ctx.Err() == nil; {
		err := l.turn(ctx, grace)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		l.durable = nil
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		wait(ctx, min(backoff(failures), longestRetry))
	}
	return nil
}

// loop is one Consume.
type loop struct {
	Consumer
	bus     *Bus
	handle  func(context.Context, *Delivery) error
	durable jetstream.Consumer // nil until it is known to exist
	running sync.WaitGroup
}

// turn takes one message, and then as many of those behind it as slots are free.
func (l *loop) turn(ctx, grace context.Context) error {
	if l.durable == nil {
		var err error
		if l.durable, err = l.bus.ensureConsumer(ctx, l.Consumer); err != nil {
			return err
		}
	}
	if l.bus.nc.Status() != nats.CONNECTED {
		return unavailable(nats.ErrDisconnected)
	}
	backlog := false
	if err := l.pull(1, fetchWait, func(msg handed) { backlog = l.take(ctx, grace, msg) }); err != nil {
		return unavailable(err)
	}
	for backlog && ctx.Err() == nil && l.Slots.acquire(ctx) {
		backlog = l.more(grace)
	}
	return nil
}

// take runs the handler of a message as soon as there is a slot. If there is none
// before ctx ends, the message goes back at once. It reports whether there are
// more behind it.
func (l *loop) take(ctx, grace context.Context, msg handed) bool {
	d, err := delivery(msg)
	if err != nil {
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		return false
	}
	alive := keepAlive(msg, l.AckWait/3)
	if !l.Slots.acquire(ctx) {
		alive.stop()
		l.settle(msg, d, Again(0, ctx.Err()))
		return false
	}
	l.start(grace, msg, d, alive)
	return d.Pending > 0
}

// more fetches what lies ready for the slot that was acquired and for others that
// are free. It reports whether there are more behind. Faults show in the next turn.
func (l *loop) more(grace context.Context) (backlog bool) {
	slots := 1 + l.Slots.take(fetchBatch-1)
	defer func() { l.Slots.release(slots) }()
	err := l.pull(slots, 0, func(msg handed) {
		d, err := delivery(msg)
		if err != nil {
			l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
			return
		}
		slots--
		backlog = d.Pending > 0
		l.start(grace, msg, d, keepAlive(msg, l.AckWait/3))
	})
	return backlog && err == nil
}

// start runs the handler. Its slot is released at its end.
func (l *loop) start(grace context.Context, msg handed, d *Delivery, alive *heartbeat) {
	l.running.Go(func() {
		defer l.Slots.release(1)
		l.deliver(grace, msg, d, alive)
	})
}

// finish waits for the handlers, and for the server to have their acks.
func (l *loop) finish(grace context.Context) {
	l.running.Wait()
	if err := l.bus.Ping(context.WithoutCancel(grace)); err != nil {
		l.OnError(fmt.Errorf("consumer %s: acks may be lost: %w", l.Name, err))
	}
}

// backoff grows from 0.25 s to 30 s, with jitter.
func backoff(attempt int) time.Duration {
	d := 250 * time.Millisecond << min(max(attempt, 1)-1, 7)
	d = min(d, 30*time.Second)
	return d/2 + rand.N(d/2+1)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
