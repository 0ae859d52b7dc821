package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// lookEvery is how often a stream is looked at of which nothing is heard.
	lookEvery = time.Second
	// What is heard may not be stored yet: it is looked for again so often, after
	// so long.
	lookAgain = 5
	storedIn  = 20 * time.Millisecond
)

// Follow hands the messages of a stream that match filter to see, in order: those
// behind a place, then those that come. It ends with ctx (nil), or with the first
// error of see, which it returns. The stream itself is read, and subscriptions only
// tell when to look: nothing is left out, however often the connection is lost.
func (s Streams) Follow(ctx context.Context, stream events.Stream, filter string, behind uint64, see func(*events.StoredMessage) error) error {
	heard := make(chan struct{}, 1)
	sub, err := s.bus.JetStream().Conn().Subscribe(filter, func(*nats.Msg) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for again := 0; ; {
		d, err := s.First(ctx, stream, behind+1, filter)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			behind = d.Sequence
			if err := see(d); err != nil {
				return err
			}
			continue
		case errors.Is(err, events.ErrNotFound) && again > 0:
			again--
			select {
			case <-time.After(storedIn):
			case <-ctx.Done():
			}
			continue
		}
		look := time.NewTimer(lookEvery)
		select {
		case <-heard:
			again = lookAgain
		case <-look.C:
		case <-ctx.Done():
		}
		look.Stop()
	}
}
