package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"
)

// maxRetryDelay bounds the time between two attempts of a consumer whose server,
// stream or durable does not exist.
const maxRetryDelay = 2 * time.Second

// Consume runs handle for each message, in a goroutine of its own, until ctx ends.
// Then it waits until the running handlers have returned and their acks have been
// sent, and returns nil.
//
// It requests only as many messages as it can handle at once. The others stay at
// the server, for any process that has room. While a handler runs, AckWait is
// extended. A durable consumer that was deleted is created again, and so is its
// stream if [Options.OnMissingStream] does that.
//
// Handlers run under grace, which should outlive ctx: when grace ends, handlers
// have to return.
func (b *Bus) Consume(ctx, grace context.Context, c Consumer, handle func(context.Context, *StoredMessage) error) error {
	c = c.withDefaults()
	l := &consumeLoop{Consumer: c, bus: b, handle: handle, slots: semaphore.NewWeighted(int64(c.MaxConcurrent))}
	defer l.finish(grace)
	for failures := 0; ctx.Err() == nil; {
		err := l.pull(ctx, grace)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		failures++
		l.ensured = false
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		sleep(ctx, min(backoff(failures), maxRetryDelay))
	}
	return nil
}

// consumeLoop is one call of [Bus.Consume].
type consumeLoop struct {
	Consumer
	bus     *Bus
	handle  func(context.Context, *StoredMessage) error
	ensured bool    // the durable exists
	puller  *puller // nil until there is a connection
	slots   *semaphore.Weighted
	running sync.WaitGroup
}

// pull sends one pull request for as many messages as there are free slots, and
// starts their handlers. It returns when they all have arrived or the request has
// expired.
func (l *consumeLoop) pull(ctx, grace context.Context) (err error) {
	if !l.ensured {
		// A short deadline, whatever that of the bus: if the server stops with the
		// request, it is repeated soon.
		ensuring, cancel := context.WithTimeout(ctx, pullExpiry+pullLatency)
		_, err = l.bus.ensureConsumer(ensuring, l.Consumer)
		cancel()
		if err != nil {
			return err
		}
		l.ensured = true
	}
	if l.puller == nil {
		if l.puller, err = l.bus.newPuller(l.Consumer); err != nil {
			return err
		}
	}
	if l.slots.Acquire(ctx, 1) != nil {
		return nil
	}
	free := 1
	for free < pullBatch && l.slots.TryAcquire(1) {
		free++
	}
	defer func() { l.slots.Release(int64(free)) }()
	return l.puller.pull(ctx, free, func(msg *nats.Msg) {
		free--
		l.start(grace, msg)
	})
}

// start runs the handler of a message, in a slot that the caller has acquired.
func (l *consumeLoop) start(grace context.Context, msg *nats.Msg) {
	m, err := storedMessage(msg)
	if err != nil {
		l.OnError(fmt.Errorf("consumer %s: %w", l.Name, err))
		l.slots.Release(1)
		return
	}
	progress := reportProgress(msg, l.AckWait/3)
	l.running.Add(1)
	l.Go(func() {
		defer l.running.Done()
		defer l.slots.Release(1)
		l.run(grace, msg, m, progress)
	})
}

// finish stops the subscription, and waits for the handlers and for the server to
// receive their acks. Messages that are on their way are handled while there is
// time: a message that is returned counts as a failed delivery.
func (l *consumeLoop) finish(grace context.Context) {
	if l.puller != nil {
		l.puller.drain(func(msg *nats.Msg) {
			if grace.Err() != nil || !l.slots.TryAcquire(1) {
				_ = msg.Nak()
				return
			}
			l.start(grace, msg)
		})
	}
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

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
