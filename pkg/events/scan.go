package events

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const scanBatch = 100

// Scan hands the messages of a stream that match filter to see, oldest first,
// from a time on, until see returns false or there is none left. What is stored
// during the scan may or may not be seen.
func (b *Bus) Scan(ctx context.Context, s Stream, filter string, from time.Time, see func(*Delivery) bool) error {
	stream, err := b.stream(ctx, s)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
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
				h = Header{}
			}
			d := &Delivery{Subject: msg.Subject(), Header: h, Data: msg.Data(), Sequence: meta.Sequence.Stream, Attempt: 1, Stored: meta.Timestamp}
			if !see(d) {
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

// IDOf is the id of the event that a message carries, or "".
func IDOf(d *Delivery) string { return readableAttribute(d.Header, "id") }

// Replay publishes a stored webhook again, with the new id, "replayof" and a delivery
// token of its own, so that the stream does not take it for a repetition. It returns
// when the stream has it.
func (b *Bus) Replay(ctx context.Context, webhook *Delivery, newID string) error {
	h := ownHeaders(webhook.Header)
	delivery := DeliveryToken(readableAttribute(h, ExtConnection), FromReplay, newID)
	subject := webhook.Subject[:strings.LastIndexByte(webhook.Subject, '.')+1] + delivery
	h[attributePrefix+ExtReplayOf] = []string{percentEncode(IDOf(webhook))}
	h[attributePrefix+"id"] = []string{percentEncode(newID)}
	setTrace(ctx, h)
	return b.publishStored(ctx, subject, h, webhook.Data, &PublishOptions{First: true})
}
