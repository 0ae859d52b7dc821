package events

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	// leastGroup is the smallest group that one batch stores faster than single
	// publishes do, and mostGroup what the server takes and our memory allows.
	leastGroup = 16
	mostGroup  = 256
	// gatherTime is how long the first publishes after a batch wait for others.
	gatherTime = 2 * time.Millisecond
)

// Headers of an atomic batch, ADR-50 of NATS. The client library has no names for them.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// GroupCommit publishes for many goroutines at once. While fewer than [leastGroup]
// publishes are under way, each is a publish of its own. Those beyond wait, and are
// stored together by one atomic batch, which a server that syncs every write syncs
// once. It needs a stream with AllowAtomicPublish; without such a server it gains
// nothing. Safe for concurrent use.
type GroupCommit struct {
	bus *Bus

	mu         sync.Mutex
	waiting    []*member // oldest first
	single     int       // publishes of their own that are under way
	committing bool      // a batch is under way
	gathering  bool      // a batch has just ended
}

// member is a publish that waits for its turn.
type member struct {
	msg  *nats.Msg
	turn chan []*member // nil: publish by yourself; a group: publish it, you are its first
	done chan error     // the outcome, if another goroutine publishes the group
}

// NewGroupCommit returns a GroupCommit on b.
func NewGroupCommit(b *Bus) *GroupCommit { return &GroupCommit{bus: b} }

// Publish is [Bus.Publish] with [PublishOptions.ExpectEmpty]. Whether another message
// is refused has no effect on this one.
func (g *GroupCommit) Publish(ctx context.Context, subject string, m *Message) error {
	msg, err := outgoing(ctx, subject, m, &PublishOptions{ExpectEmpty: true})
	if err != nil {
		return err
	}
	self := &member{msg: msg, turn: make(chan []*member, 1), done: make(chan error, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, self)
	g.dispatchLocked()
	g.mu.Unlock()
	select {
	case group := <-self.turn:
		return g.publish(ctx, self, group)
	case err := <-self.done:
		return err
	case <-ctx.Done():
	}
	if g.withdraw(self) {
		return unavailable(ctx.Err())
	}
	// Another goroutine uses the message now; the publish timeout bounds that.
	select {
	case group := <-self.turn:
		return g.publish(ctx, self, group)
	case err := <-self.done:
		return err
	}
}

// withdraw reports whether m still waited, and no longer does.
func (g *GroupCommit) withdraw(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := slices.Index(g.waiting, m)
	if n >= 0 {
		g.waiting = slices.Delete(g.waiting, n, n+1)
	}
	return n >= 0
}

// dispatchLocked starts what may start: a batch, or single publishes.
func (g *GroupCommit) dispatchLocked() {
	for len(g.waiting) > 0 && !g.committing {
		if n := min(len(g.waiting), mostGroup); n >= leastGroup {
			group := slices.Clone(g.waiting[:n])
			g.waiting = slices.Delete(g.waiting, 0, n)
			g.committing = true
			group[0].turn <- group
			return
		}
		if g.gathering || g.single >= leastGroup {
			return
		}
		m := g.waiting[0]
		g.waiting = slices.Delete(g.waiting, 0, 1)
		g.single++
		m.turn <- nil
	}
}

// publish publishes self, or the group whose first member it is.
func (g *GroupCommit) publish(ctx context.Context, self *member, group []*member) error {
	if group == nil {
		err := g.bus.publishAlone(ctx, self)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.single--
		g.dispatchLocked()
		return err
	}
	errs := g.bus.publishGroup(context.WithoutCancel(ctx), group)
	for n, m := range group[1:] {
		m.done <- errs[n+1]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.committing, g.gathering = false, true
	// The members' callers come back at about the same time.
	time.AfterFunc(gatherTime, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.gathering = false
		g.dispatchLocked()
	})
	g.dispatchLocked()
	return errs[0]
}

func (b *Bus) publishAlone(ctx context.Context, m *member) error {
	p, err := b.publishMsg(m.msg)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}

// publishGroup stores the group by an atomic batch. If the server refuses the batch,
// because one of its members repeats a message for example, each member is published by
// itself. Without an answer nobody knows what is stored: every member fails with
// [ErrUnavailable].
func (b *Bus) publishGroup(ctx context.Context, group []*member) []error {
	errs := make([]error, len(group))
	err := b.publishBatch(ctx, group)
	if err == nil {
		return errs
	}
	if !refusedBatch(err) {
		for n := range errs {
			errs[n] = err
		}
		return errs
	}
	acks := make([]*AckFuture, len(group))
	for n, m := range group {
		for _, name := range []string{batchID, batchSequence, batchCommit} {
			delete(m.msg.Header, name)
		}
		acks[n], errs[n] = b.publishMsg(m.msg)
	}
	for n, ack := range acks {
		if ack != nil {
			_, errs[n] = ack.Wait(ctx)
		}
	}
	return errs
}

// publishBatch publishes the group as one atomic batch: all or none are stored.
func (b *Bus) publishBatch(ctx context.Context, group []*member) error {
	id, last := nuid.Next(), group[len(group)-1]
	for n, m := range group {
		m.msg.Header[batchID], m.msg.Header[batchSequence] = []string{id}, []string{strconv.Itoa(n + 1)}
		if m == last {
			break
		}
		// Without a reply subject: the answer to the last message is for all.
		if err := b.nc.PublishMsg(m.msg); err != nil {
			return errBatchNotSent
		}
	}
	last.msg.Header[batchCommit] = []string{"1"}
	return b.publishAlone(ctx, last)
}

// errBatchNotSent ends a batch without its last message: the server drops it.
var errBatchNotSent = errors.New("events: a message of the batch could not be sent")

// refusedBatch reports whether the server stored no member of a batch.
func refusedBatch(err error) bool {
	_, answered := errors.AsType[*jetstream.APIError](err)
	return answered || errors.Is(err, ErrExists) || errors.Is(err, ErrTooLarge) || errors.Is(err, errBatchNotSent)
}
