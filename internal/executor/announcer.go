package executor

import (
	"context"
	"sync"

	"github.com/hawser-io/hawser/pkg/events"
)

// announcer publishes lifecycle events for those who wait until the stream has
// them, with one ack for many (group commit): what comes while an ack is awaited
// goes out together when it is there, and the ack of the last stands for all,
// because what one connection sends reaches a stream in its order. Where that may
// not hold, since nobody answered for the stream, each is published again and
// asks for an ack of its own. Whoever is alone waits for nobody.
type announcer struct {
	bus  *events.Bus
	wake chan struct{} // holds a token if there is something in next

	mu   sync.Mutex
	next *announcements
}

// announcements go out together.
type announcements struct {
	all  []*announcement
	done chan struct{}
}

// announcement is an event on its way.
type announcement struct {
	ctx     context.Context // has its trace
	subject string
	message *events.Message
	opts    *events.PublishOptions
	with    *announcements
	err     error // once they are done
}

func newAnnouncer(bus *events.Bus) *announcer {
	return &announcer{bus: bus, wake: make(chan struct{}, 1)}
}

// announce has m published soon. It is for goroutines that run waits for.
func (x *announcer) announce(ctx context.Context, subject string, m *events.Message, opts *events.PublishOptions) *announcement {
	a := &announcement{ctx: ctx, subject: subject, message: m, opts: opts}
	x.mu.Lock()
	if x.next == nil {
		x.next = &announcements{done: make(chan struct{})}
		x.wake <- struct{}{}
	}
	a.with = x.next
	a.with.all = append(a.with.all, a)
	x.mu.Unlock()
	return a
}

// wait returns when the stream has the event, or an error if that is not known.
func (a *announcement) wait(ctx context.Context) error {
	select {
	case <-a.with.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run publishes until stop is closed.
func (x *announcer) run(stop <-chan struct{}) {
	for {
		select {
		case <-x.wake:
		case <-stop:
			return
		}
		x.mu.Lock()
		now := x.next
		x.next = nil
		x.mu.Unlock()
		if len(now.all) == 1 || x.together(now.all) != nil {
			x.oneByOne(now.all)
		}
		close(now.done)
	}
}

// together returns nil when the stream has all of them.
func (x *announcer) together(all []*announcement) error {
	last := len(all) - 1
	for _, a := range all[:last] {
		if err := x.bus.Send(a.ctx, a.subject, a.message, a.opts); err != nil {
			return err
		}
	}
	a := all[last]
	opts := *a.opts
	opts.Once = true
	_, err := x.bus.Publish(context.WithoutCancel(a.ctx), a.subject, a.message, &opts)
	return err
}

// oneByOne returns when the stream has each of them, or the bus has waited long
// enough for those that it has not.
func (x *announcer) oneByOne(all []*announcement) {
	sent := make([]*events.Pending, len(all))
	for n, a := range all {
		sent[n], a.err = x.bus.PublishAsync(a.ctx, a.subject, a.message, a.opts)
	}
	for n, a := range all {
		if a.err == nil {
			_, a.err = sent[n].Wait(context.WithoutCancel(a.ctx))
		}
	}
}
