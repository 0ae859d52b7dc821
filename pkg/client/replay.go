package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	replayBatch = 128
	replayWait  = 2 * time.Second
	// replayInactive is when the server deletes a consumer without pull requests.
	replayInactive = time.Minute
)

// replay reads a stream in order by an ephemeral consumer. After an error a new consumer
// continues behind the last message that was read, so that no message is missed or
// delivered twice. (The client's ordered consumer does the same, but cannot be stopped
// while the server is away.)
type replay struct {
	*subscription
	consumer jetstream.Consumer // nil: to be created
	received uint64             // messages of this consumer
	next     uint64             // sequence in the stream to continue with; 0: by time
}

func (s *subscription) replay(ctx, receiving context.Context) (func(), error) {
	r := &replay{subscription: s}
	if err := r.ensure(receiving); err != nil {
		return nil, err
	}
	return func() {
		defer r.delete(ctx)
		for attempt := 0; receiving.Err() == nil; {
			err := r.ensure(receiving)
			if err == nil {
				err = r.read(ctx, receiving)
			}
			if err == nil || receiving.Err() != nil {
				attempt = 0
				continue
			}
			s.opts.OnError(fmt.Errorf("client: replay of %s was interrupted: %w", s.subject, err))
			r.consumer = nil
			attempt++
			sleep(receiving, min(100*time.Millisecond<<min(attempt, 6), 5*time.Second))
		}
	}, nil
}

// ensure creates the consumer if there is none.
func (r *replay) ensure(ctx context.Context) error {
	if r.consumer != nil {
		return nil
	}
	config := jetstream.ConsumerConfig{
		Name: "replay-" + events.NewID(), Description: "client",
		FilterSubject: r.subject, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: replayInactive,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &r.opts.Since,
	}
	if r.next > 0 {
		config.DeliverPolicy, config.OptStartTime, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, r.next
	}
	ctx, cancel := context.WithTimeout(ctx, replayWait)
	defer cancel()
	var err error
	r.consumer, err = r.bus.JetStream().CreateConsumer(ctx, r.bus.Subjects.StreamName(r.subscription.stream), config)
	r.received = 0
	return err
}

// delete deletes the consumer, before the server would do so.
func (r *replay) delete(ctx context.Context) {
	if r.consumer == nil || r.nc.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.bus.JetStream().DeleteConsumer(ctx, r.bus.Subjects.StreamName(r.subscription.stream), r.consumer.CachedInfo().Name)
}

// read reads one batch. With an error, messages of the consumer may be lost, and it must
// not be used again.
func (r *replay) read(ctx, receiving context.Context) error {
	waiting, cancel := context.WithTimeout(receiving, replayWait)
	defer cancel()
	batch, err := r.consumer.Fetch(replayBatch, jetstream.FetchContext(waiting))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, metaErr := msg.Metadata()
		if metaErr != nil || meta.Sequence.Consumer != r.received+1 {
			err = errors.New("messages were lost")
		}
		if err != nil || receiving.Err() != nil {
			continue // so that the batch ends
		}
		r.received, r.next = meta.Sequence.Consumer, meta.Sequence.Stream+1
		r.deliver(ctx, msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	}
	// On a timeout the batch was not full, which is not an error.
	if err == nil && !errors.Is(batch.Error(), nats.ErrTimeout) {
		err = batch.Error()
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
