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

// OnOptions select the events of the past, and the handling of errors. Zero fields mean
// the default.
//
//	default   a live subscription: events that are published while this process is
//	          connected, each once; those of an outage are missed
//	Since     a replay: all events stored since then, and those that come. None is
//	          missed in an outage
//	Durable   a durable consumer of this name: all events, also those published while no
//	          process runs. An event is delivered again until its handler returns nil
//
// An error of a handler is reported to OnError. In a durable subscription it also says
// what happens to the event: [events.Discard] never delivers it again, [events.RetryIn]
// delivers it again after a delay, any other error does so with a growing delay, at most
// 20 times.
type OnOptions struct {
	// Since is the time from which stored events are delivered. By default streams store
	// results for one day, webhooks for three, lifecycle events for seven. The Unix epoch
	// means all. With Durable, older events are skipped.
	Since time.Time
	// Durable is the name of the subscription. Processes with the same name share its
	// events. A name has one filter. Its events stay until the stream removes them, even
	// if no process ever uses the name again.
	Durable string
	// Concurrency is how many handlers run at once. Default 1: in order.
	Concurrency int
	// Buffer is how many live events can wait for handlers. When it is full the newest
	// are dropped, and OnError is called. Default 65,536.
	Buffer int
	// OnError replaces that of the client.
	OnError func(error)
}

const defaultBuffer = 65_536

// subscription is one call of On.
type subscription struct {
	*Client
	opts     OnOptions
	filter   Filter
	subject  string
	stream   events.Stream
	handle   func(context.Context, *Event) error
	handlers errgroup.Group // of live and replayed events
}

// subscribe starts a subscription and returns the function that ends it.
func (c *Client) subscribe(ctx context.Context, subject string, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (func(), error) {
	s := &subscription{Client: c, filter: f, subject: subject, handle: handle}
	if opts != nil {
		s.opts = *opts
	}
	if s.filter.Topic == "" {
		s.filter.Topic = Lifecycle
	}
	if s.opts.Concurrency <= 0 {
		s.opts.Concurrency = 1
	}
	if s.opts.Buffer <= 0 {
		s.opts.Buffer = defaultBuffer
	}
	if s.opts.OnError == nil {
		s.opts.OnError = c.onError
	}
	s.handlers.SetLimit(s.opts.Concurrency)
	var err error
	if s.stream, err = s.filter.stream(); err != nil {
		return nil, err
	}
	receiving, stop := context.WithCancel(ctx)
	run, err := s.start(ctx, receiving)
	if err != nil {
		stop()
		return nil, fmt.Errorf("client: subscribe to %s: %w", subject, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stop()
		run()
		_ = s.handlers.Wait() // each handler's error was reported
	}()
	return func() { stop(); <-done }, nil
}

// start subscribes, and returns the function that receives events until receiving ends.
// Handlers run under ctx.
func (s *subscription) start(ctx, receiving context.Context) (run func(), err error) {
	past := s.opts.Durable != "" || !s.opts.Since.IsZero()
	switch {
	case past && s.tenant:
		return nil, forbidden("a subscription to events of the past")
	case s.opts.Durable != "":
		return s.durable(ctx, receiving)
	case past:
		return s.replay(ctx, receiving)
	}
	return s.live(ctx, receiving)
}

// live receives the events that are published from now on.
func (s *subscription) live(ctx, receiving context.Context) (func(), error) {
	sub, err := s.nc.SubscribeSync(s.subject)
	if err != nil {
		return nil, err
	}
	err = sub.SetPendingLimits(s.opts.Buffer, -1)
	if err == nil {
		err = s.bus.Ping(receiving)
	}
	if err != nil {
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	return func() {
		defer func() { _ = sub.Unsubscribe() }()
		for {
			msg, err := sub.NextMsgWithContext(receiving)
			switch {
			case receiving.Err() != nil:
				return
			case errors.Is(err, nats.ErrSlowConsumer):
				s.opts.OnError(fmt.Errorf("client: %s: events were dropped, since handlers are slower than events arrive", s.subject))
			case err != nil:
				s.opts.OnError(fmt.Errorf("client: %s: the subscription has ended: %w", s.subject, err))
				return
			default:
				s.deliver(ctx, msg.Subject, msg.Header, msg.Data, 0)
			}
		}
	}, nil
}

// deliver runs the handler, when one of Concurrency is free. It reports a message that is
// not an event to OnError, and skips it.
func (s *subscription) deliver(ctx context.Context, subject string, header events.Header, data []byte, sequence uint64) {
	e, err := readEvent(subject, header, data)
	if err != nil {
		s.opts.OnError(fmt.Errorf("client: %w", err))
		return
	}
	if !s.wants(e) {
		return
	}
	e.Sequence = sequence
	s.handlers.Go(func() error {
		if err := s.run(ctx, e); err != nil {
			s.opts.OnError(fmt.Errorf("client: handler of %s, event %s: %w", s.subject, e.ID(), err))
		}
		return nil
	})
}

func (s *subscription) wants(e *Event) bool {
	return s.filter.Account == "" || s.filter.Account == e.Account
}

// run runs the handler. A panic becomes an error without the panic's value, which may
// be a secret.
func (s *subscription) run(ctx context.Context, e *Event) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%w: a value of type %T\n%s", events.ErrPanic, value, debug.Stack())
		}
	}()
	return s.handle(events.WithTrace(ctx, e.Header), e)
}
