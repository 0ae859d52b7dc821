package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

const scanBatch = 100

// Scan calls each with the messages that match filter, oldest first, from a time on,
// until each returns false or there are no more. Messages that are stored meanwhile may
// be among them.
func (s Streams) Scan(ctx context.Context, stream events.Stream, filter string, from time.Time, each func(*events.StoredMessage) bool) error {
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return err
	}
	consumer, err := handle.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
		InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return unavailable(err)
	}
	for {
		batch, err := consumer.FetchNoWait(scanBatch)
		if err != nil {
			return unavailable(err)
		}
		n := 0
		for msg := range batch.Messages() {
			n++
			meta, err := msg.Metadata()
			if err != nil {
				return unavailable(err)
			}
			h := msg.Headers()
			if h == nil {
				h = events.Header{}
			}
			m := &events.StoredMessage{Subject: msg.Subject(), Header: h, Data: msg.Data(), Sequence: meta.Sequence.Stream, NumDelivered: 1, Stored: meta.Timestamp}
			if !each(m) {
				return nil
			}
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return unavailable(err)
		}
		if n == 0 {
			return nil
		}
	}
}
