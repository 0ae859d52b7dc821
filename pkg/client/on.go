package client

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/events"
)

// OnOptions say what is heard of the past, and what becomes of errors. Zero
// fields mean the default.
//
//	default   what is published while this process is connected; nothing is
//	          heard twice or asked for again, and an outage is a gap
//	Since     everything stored since then, then what comes, without gaps:
//	          an outage is caught up on
//	Durable   everything, remembered by the server under the name: also what came
//	          while no process was there. An event is handed out again until the
//	          handler returns nil
//
// Of a live or replayed event an error of the handler is only told to OnError. Of
// a durable one it is an instruction, as in package events: [events.Discard] is
// never again, [events.RetryIn] is again after a while, any other error is again
// with a growing delay, at most 20 times.
type OnOptions struct {
	// Since replays what is stored from then on, as far as streams keep it:
	// results a day, webhooks three, lifecycle events seven, by default. The Unix
	// epoch means everything. With Durable, older events are passed over.
	Since time.Time
	// Durable names the subscription. Processes that use one name share its
	// events. The name belongs to one filter; events wait for it until the stream
	// drops them, also when nobody will ever come back.
	Durable string
	// Concurrency is how many handlers run at once. Default 1: in order.
	Concurrency int
	// Buffer is how many live events may wait for handlers before the newest are
	// dropped, which OnError is told. Default 65,536.
	Buffer int
	// OnError replaces that of the client.
	OnError func(error)
}

const defaultBuffer = 65_536

// listener is one subscription.
type listener struct {
	*Client
	opts     OnOptions
	filter   Filter
	subject  string
	stream   events.Stream
	handle   func(context.Context, *Event) error
	handlers errgroup.Group // of live and replayed events
}

// listen starts a subscription and returns how to end it.
func (c *Client) listen(ctx context.Context, subject string, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (func(), error) {
	l := &listener{Client: c, filter: f, subject: subject, handle: handle}
	if opts != nil {
		l.opts = *opts
	}
	if l.filter.Topic == "" {
		l.filter.Topic = Lifecycle
	}
	if l.opts.Concurrency <= 0 {
		l.opts.Concurrency = 1
	}
	if l.opts.Buffer <= 0 {
		l.opts.Buffer = defaultBuffer
	}
	if l.opts.OnError == nil {
		l.opts.OnError = c.onError
	}
	l.handlers.SetLimit(l.opts.Concurrency)
	var err error
	if l.stream, err = l.filter.stream(); err != nil {
		return nil, err
	}
	taking, stop := context.WithCancel(ctx)
	run, err := l.start(ctx, taking)
	if err != nil {
		stop()
		return nil, fmt.Errorf("client: listen to %s: %w", subject, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		run()
		_ = l.handlers.Wait() // handlers' errors are told one by one
	}()
	return func() { stop(); <-done }, nil
}

// start subscribes, and returns what is to be run until taking ends. Handlers
// run under ctx.
func (l *listener) start(ctx, taking context.Context) (run func(), err error) {
	past := l.opts.Durable != "" || !l.opts.Since.IsZero()
	switch {
	case past && l.tenant:
		return nil, forbidden("what was published in the past")
	case l.opts.Durable != "":
		return l.durable(ctx, taking)
	case past:
		return l.replay(ctx, taking)
	}
	return l.live(ctx, taking)
}

// live hears what is published from now on.
func (l *listener) live(ctx, taking context.Context) (func(), error) {
	sub, err := l.nc.SubscribeSync(l.subject)
	if err != nil {
		return nil, err
	}
	err = sub.SetPendingLimits(l.opts.Buffer, -1)
	if err == nil {
		err = l.bus.Ping(taking)
	}
	if err != nil {
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	return func() {
		defer func() { _ = sub.Unsubscribe() }()
		for {
			msg, err := sub.NextMsgWithContext(taking)
			switch {
			case taking.Err() != nil:
				return
			case errors.Is(err, nats.ErrSlowConsumer):
				l.opts.OnError(fmt.Errorf("client: %s: the handler is slower than the events, and some were dropped", l.subject))
			case err != nil:
				l.opts.OnError(fmt.Errorf("client: %s: the subscription ended: %w", l.subject, err))
				return
			default:
				l.take(ctx, msg.Subject, msg.Header, msg.Data, 0)
			}
		}
	}, nil
}

// take waits for a free handler and gives it the event. Garbage is told, and
// passed over.
func (l *listener) take(ctx context.Context, subject string, header events.Header, data []byte, sequence uint64) {
	e, err := readEvent(subject, header, data)
	if err != nil {
		l.opts.OnError(fmt.Errorf("client: %w", err))
		return
	}
	if !l.wants(e) {
		return
	}
	e.Sequence = sequence
	l.handlers.Go(func() error {
		if err := l.run(ctx, e); err != nil {
			l.opts.OnError(fmt.Errorf("client: handler of %s, event %s: %w", l.subject, e.ID(), err))
		}
		return nil
	})
}

func (l *listener) wants(e *Event) bool {
	return l.filter.Account == "" || l.filter.Account == e.Account
}

// run runs the handler. A panic is an error like any other; what was thrown is
// left out, since it may hold anything.
func (l *listener) run(ctx context.Context, e *Event) (err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%w: a value of type %T\n%s", events.ErrPanic, thrown, debug.Stack())
		}
	}()
	return l.handle(events.WithTrace(ctx, e.Header), e)
}
