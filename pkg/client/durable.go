package client

import (
	"context"
	"fmt"

	"github.com/hawser-io/hawser/pkg/events"
)

// durable takes from a consumer that the server remembers. Ending it takes up to
// a second: so long may a request for more events be open.
func (l *listener) durable(ctx, taking context.Context) (func(), error) {
	consumer := events.Consumer{
		// Executors have consumers on the same streams, with names of their own.
		Name:          "client-" + events.Token(l.opts.Durable),
		Description:   "subscription of an application",
		Stream:        l.stream,
		Filter:        l.subject,
		MaxConcurrent: l.opts.Concurrency,
		OnError:       l.opts.OnError,
	}
	if err := l.bus.EnsureConsumer(taking, consumer); err != nil {
		return nil, err
	}
	return func() {
		// It ends when taking does, and has no other errors than it tells.
		_ = l.bus.Consume(taking, ctx, consumer, l.deliver)
	}, nil
}

func (l *listener) deliver(ctx context.Context, d *events.StoredMessage) error {
	e, err := readEvent(d.Subject, d.Header, d.Data)
	if err != nil {
		l.opts.OnError(fmt.Errorf("client: %w", err))
		return events.Discard(err)
	}
	if !l.wants(e) || d.Stored.Before(l.opts.Since) {
		return nil
	}
	e.Sequence, e.Attempt = d.Sequence, d.NumDelivered
	return l.run(ctx, e)
}
