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
	// replayIdle is when the server forgets a consumer of whom it hears nothing.
	replayIdle = time.Minute
)

// replay reads a stream in order by a consumer that keeps no state: what has
// been read is known here, and after any trouble a new consumer goes on behind
// it. So nothing is left out and nothing comes twice. (The library's ordered
// consumer does the same, but cannot be stopped while the server is away.)
type replay struct {
	*listener
	consumer jetstream.Consumer // nil: to be made
	heard    uint64             // messages that this consumer has given
	next     uint64             // sequence in the stream to go on with; 0: by time
}

func (l *listener) replay(ctx, taking context.Context) (func(), error) {
	r := &replay{listener: l}
	if err := r.attach(taking); err != nil {
		return nil, err
	}
	return func() {
		defer r.detach(ctx)
		for attempt := 0; taking.Err() == nil; {
			err := r.attach(taking)
			if err == nil {
				err = r.read(ctx, taking)
			}
			if err == nil || taking.Err() != nil {
				attempt = 0
				continue
			}
			l.opts.OnError(fmt.Errorf("client: replay of %s was interrupted: %w", l.subject, err))
			r.consumer = nil
			attempt++
			pause(taking, min(100*time.Millisecond<<min(attempt, 6), 5*time.Second))
		}
	}, nil
}

// attach makes the consumer if there is none.
func (r *replay) attach(ctx context.Context) error {
	if r.consumer != nil {
		return nil
	}
	config := jetstream.ConsumerConfig{
		Name: "replay-" + events.NewID(), Description: "client",
		FilterSubject: r.subject, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: replayIdle,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &r.opts.Since,
	}
	if r.next > 0 {
		config.DeliverPolicy, config.OptStartTime, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, r.next
	}
	ctx, cancel := context.WithTimeout(ctx, replayWait)
	defer cancel()
	var err error
	r.consumer, err = r.bus.JetStream().CreateConsumer(ctx, r.bus.Subjects.StreamName(r.listener.stream), config)
	r.heard = 0
	return err
}

// detach spares the server the wait for replayIdle.
func (r *replay) detach(ctx context.Context) {
	if r.consumer == nil || r.nc.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.bus.JetStream().DeleteConsumer(ctx, r.bus.Subjects.StreamName(r.listener.stream), r.consumer.CachedInfo().Name)
}

// read takes one batch. An error means that messages may have been lost on their
// way, and that the consumer is of no more use.
func (r *replay) read(ctx, taking context.Context) error {
	waiting, cancel := context.WithTimeout(taking, replayWait)
	defer cancel()
	batch, err := r.consumer.Fetch(replayBatch, jetstream.FetchContext(waiting))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, metaErr := msg.Metadata()
		if metaErr != nil || meta.Sequence.Consumer != r.heard+1 {
			err = errors.New("messages were lost on their way")
		}
		if err != nil || taking.Err() != nil {
			continue // so that the batch ends
		}
		r.heard, r.next = meta.Sequence.Consumer, meta.Sequence.Stream+1
		r.take(ctx, msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	}
	// A batch that the server has not closed in time is one whose end nobody saw.
	if err == nil && !errors.Is(batch.Error(), nats.ErrTimeout) {
		err = batch.Error()
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
