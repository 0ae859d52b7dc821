package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// Orphans finds messages that are in a stream and that its consumer will not hand out. A
// server that was killed, or could not write for a while, leaves such messages: below the
// ack floor of a queue's consumer, or after its last delivery. Not safe for concurrent use.
type Orphans struct {
	streams Streams
	after   time.Duration
	// suspects of each consumer are what it seemed not to hand out at the last look, by
	// sequence: a message that is being acknowledged looks the same for a moment.
	suspects map[string]map[uint64]time.Time
	stalled  map[string]stall
}

// stall says since when a consumer has handed out nothing after a sequence, although
// somebody asked for messages and there were some.
type stall struct {
	delivered uint64
	since     time.Time
}

// maxOrphans bounds what one look returns.
const maxOrphans = 256

// NewOrphans returns a finder of what was not handed out for longer than after.
func NewOrphans(s Streams, after time.Duration) *Orphans {
	return &Orphans{s, after, map[string]map[uint64]time.Time{}, map[string]stall{}}
}

// Find returns the messages of a queue that the consumer has passed: they are stored, its
// ack floor is above them, and so it was at the last look too. The caller puts them back
// into the queue and removes them. There are none if the consumer does not exist, since a
// new one starts at the first message.
func (o *Orphans) Find(ctx context.Context, c events.Consumer) ([]*events.StoredMessage, error) {
	info, err := o.info(ctx, c)
	if err != nil || info == nil {
		return nil, err
	}
	passed := info.AckFloor.Stream
	if info.NumAckPending == 0 {
		passed = info.Delivered.Stream
	}
	now, last, seen := time.Now(), o.suspects[c.Name], map[uint64]time.Time{}
	var found []*events.StoredMessage
	for from := uint64(1); len(seen) < maxOrphans; {
		m, err := o.streams.First(ctx, c.Stream, from, c.Filter)
		if errors.Is(err, events.ErrNotFound) || err == nil && m.Sequence > passed {
			break
		}
		if err != nil {
			return nil, err
		}
		first, known := last[m.Sequence]
		if !known {
			first = now
		}
		seen[m.Sequence] = first
		if known && now.Sub(first) >= o.after {
			found = append(found, m)
		}
		from = m.Sequence + 1
	}
	o.suspects[c.Name] = seen
	maps.DeleteFunc(o.suspects, func(_ string, s map[uint64]time.Time) bool { return len(s) == 0 })
	return found, nil
}

// Restart has the server look for the consumer's next message again, if it has handed out
// none for a while although there are some and somebody asks for them, or if it waits for
// sequences that the stream has lost. It reports whether it did. Only a consumer without
// unacknowledged messages is restarted.
func (o *Orphans) Restart(ctx context.Context, c events.Consumer) (bool, error) {
	info, err := o.info(ctx, c)
	if err != nil || info == nil || info.Paused || info.NumAckPending > 0 {
		delete(o.stalled, c.Name)
		return false, err
	}
	state, err := o.streams.State(ctx, c.Stream)
	if err != nil {
		return false, err
	}
	next := info.Delivered.Stream + 1
	if next <= state.Last+1 {
		m, err := o.streams.First(ctx, c.Stream, next, c.Filter)
		if errors.Is(err, events.ErrNotFound) || err == nil && (info.NumWaiting == 0 || time.Since(m.Stored) < o.after) {
			delete(o.stalled, c.Name)
			return false, nil
		}
		if err != nil {
			return false, err
		}
	} else {
		next = state.Last + 1
	}
	since := o.stalled[c.Name]
	if since.delivered != info.Delivered.Stream || since.since.IsZero() {
		o.stalled[c.Name] = stall{info.Delivered.Stream, time.Now()}
		return false, nil
	}
	if time.Since(since.since) < o.after {
		return false, nil
	}
	delete(o.stalled, c.Name)
	return true, o.streams.resetConsumer(ctx, c, next)
}

func (o *Orphans) info(ctx context.Context, c events.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := o.streams.bus.Deadline(ctx)
	defer cancel()
	consumer, err := o.streams.bus.JetStream().Consumer(ctx, o.streams.bus.Subjects.StreamName(c.Stream), c.Name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, nil
	case err != nil:
		return nil, unavailable(err)
	}
	return consumer.CachedInfo(), nil
}

// resetConsumer has a consumer continue at a sequence. The client has no call for it.
func (s Streams) resetConsumer(ctx context.Context, c events.Consumer, sequence uint64) error {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	request := fmt.Appendf(nil, `{"seq":%d}`, sequence)
	msg, err := s.bus.JetStream().Conn().RequestWithContext(ctx, "$JS.API.CONSUMER.RESET."+s.bus.Subjects.StreamName(c.Stream)+"."+c.Name, request)
	if err != nil {
		return unavailable(err)
	}
	var reply struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return unavailable(err)
	}
	if reply.Error != nil {
		return fmt.Errorf("queue: restart consumer %s: %w", c.Name, reply.Error)
	}
	return nil
}
