package client

import (
	"context"
	"fmt"

	"github.com/hawser-io/hawser/pkg/events"
)

// durable receives events by a durable consumer.
func (s *subscription) durable(ctx, receiving context.Context) (func(), error) {
	consumer := events.Consumer{
		// The prefix keeps it apart from the consumers of executors.
		Name:          "client-" + events.Token(s.opts.Durable),
		Description:   "subscription of an application",
		Stream:        s.stream,
		Filter:        s.subject,
		MaxConcurrent: s.opts.Concurrency,
		OnError:       s.opts.OnError,
	}
	if err := s.bus.EnsureConsumer(receiving, consumer); err != nil {
		return nil, err
	}
	return func() {
		// It returns nil; errors were reported to OnError.
		_ = s.bus.Consume(receiving, ctx, consumer, s.handleStored)
	}, nil
}

func (s *subscription) handleStored(ctx context.Context, d *events.StoredMessage) error {
	e, err := readEvent(d.Subject, d.Header, d.Data)
	if err != nil {
		s.opts.OnError(fmt.Errorf("client: %w", err))
		return events.Discard(err)
	}
	if !s.wants(e) || d.Stored.Before(s.opts.Since) {
		return nil
	}
	e.Sequence, e.Attempt = d.Sequence, d.NumDelivered
	return s.run(ctx, e)
}
