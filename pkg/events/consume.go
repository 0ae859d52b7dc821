package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// longestRetry bounds the time between two attempts of a consumer whose server,
// stream or durable is gone.
const longestRetry = 2 * time.Second

// Consume hands messages to handle, each in a goroutine of its own, until ctx
// ends; then it waits for the handlers that run, and for their acks to leave this
// process, and returns nil.
//
// No more is asked for than can be handled at once, so that nothing waits here:
// what nobody has a place for stays at the server, for whoever is free. While a
// handler runs its message's AckWait is kept from running out. A durable consumer
// that was deleted is made again, and so is its stream if [Options.OnMissingStream] makes it.
//
// Handlers run under grace, which should outlive ctx: its end tells them that the
// time to finish is over.
func (b *Bus) Consume(ctx, grace context.Context, c Consumer, handle func(context.Context, *StoredMessage) error) error {
	c = c.withDefaults()
	l := &loop{bus: b, Consumer: c, handle: handle, places: newSlots(c.MaxConcurrent), idle: make(chan func())}
	defer l.finish(grace)
	for failures := 0; ctx.Err() == nil; {
		err := l.turn(ctx, grace)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		l.known = false
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		wait(ctx, min(backoff(failures), longestRetry))
	}
	return nil
}

// loop is one Consume.
type loop struct {
	Consumer
	bus     *Bus
	handle  func(context.Context, *StoredMessage) error
	known   bool    // the durable exists
	pull    *puller // nil until there is a connection
	places  *slots
	workers atomic.Int64
	idle    chan func() // to workers that have nothing to do
	running sync.WaitGroup
}

// turn takes as many messages as there are places, or those that come in the time
// of one request.
func (l *loop) turn(ctx, grace context.Context) (err error) {
	if !l.known {
		// A question that a server took down with it is asked again soon, however long
		// the bus waits for answers.
		asking, cancel := context.WithTimeout(ctx, pullWait+pullLate)
		_, err = l.bus.ensureConsumer(asking, l.Consumer)
		cancel()
		if err != nil {
			return err
		}
		l.known = true
	}
	if l.pull == nil {
		if l.pull, err = l.bus.newPuller(l.Consumer); err != nil {
			return err
		}
	}
	if !l.places.acquire(ctx) {
		return nil
	}
	free := 1 + l.places.take(pullBatch-1)
	defer func() { l.places.release(free) }()
	return l.pull.take(ctx, free, func(msg *nats.Msg) {
		free--
		l.start(grace, msg)
	})
}

// start runs the handler of a message, in a place that was acquired for it.
func (l *loop) start(grace context.Context, msg *nats.Msg) {
	d, err := delivery(msg)
	if err != nil {
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		l.places.release(1)
		return
	}
	alive := keepAlive(msg, l.AckWait/3)
	l.run(func() {
		defer l.places.release(1)
		l.deliver(grace, msg, d, alive)
	})
}

// run gives work to a worker that is idle, or to a new one. A worker stays, since
// its stack has grown to what handlers need; those beyond the places end.
func (l *loop) run(work func()) {
	select {
	case l.idle <- work:
	default:
		l.workers.Add(1)
		l.running.Go(func() {
			defer l.workers.Add(-1)
			work()
			for l.workers.Load() <= int64(l.MaxConcurrent) {
				work, more := <-l.idle
				if !more {
					return
				}
				work()
			}
		})
	}
}

// finish lets no more come, and waits for the handlers and for the server to have
// their acks. What was on its way here is handled while there is time for it: to
// hand it back would count as a delivery that failed.
func (l *loop) finish(grace context.Context) {
	if l.pull != nil {
		l.pull.drain(func(msg *nats.Msg) {
			if grace.Err() != nil || l.places.take(1) == 0 {
				_ = msg.Nak()
				return
			}
			l.start(grace, msg)
		})
	}
	close(l.idle)
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
