package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// readInterval is how often Follow reads a stream on which no message is seen.
	readInterval = time.Second
	// A subscription receives a message before the stream has stored it, so it is read
	// up to storeReads times, storeInterval apart.
	storeReads    = 5
	storeInterval = 20 * time.Millisecond
)

// Follow calls each with the messages that match filter and are stored after a sequence,
// in order, and then with those that come. It returns nil when ctx ends, or the first
// error of each. It reads the stream, and subscribes only to learn when to read: no
// message is missed when the connection is lost.
func (s Streams) Follow(ctx context.Context, stream events.Stream, filter string, after uint64, each func(*events.StoredMessage) error) error {
	seen := make(chan struct{}, 1)
	sub, err := s.bus.JetStream().Conn().Subscribe(filter, func(*nats.Msg) {
		select {
		case seen <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for reads := 0; ctx.Err() == nil; {
		m, err := s.First(ctx, stream, after+1, filter)
		if err == nil {
			after = m.Sequence
			if err := each(m); err != nil {
				return err
			}
			continue
		}
		interval := readInterval
		if errors.Is(err, events.ErrNotFound) && reads > 0 {
			interval = storeInterval
			reads--
		}
		select {
		case <-seen:
			reads = storeReads
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
	return nil
}
