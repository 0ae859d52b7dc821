package executor

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

// sweeper ends requests to connectors that nobody has registered, new ones and those that
// were parked while their connector was removed, and webhooks that were parked likewise.
// Every executor has one: the subject of a result takes one message, and a message is
// removed by its sequence.
type sweeper struct {
	queue       *queue.Queue
	definitions *records.Definitions
	unprocessed *unprocessed
	after       time.Duration // how long a message may lie before
	telemetry   *telemetry
}

const (
	sweepEvery = time.Second
	// sweepLimit bounds the messages that one sweep ends on one subject.
	sweepLimit = 256
)

func (s *sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := errors.Join(
			s.sweep(ctx, events.Actions, s.queue.Bus.Subjects.Actions()),
			s.sweep(ctx, queue.Parked, s.queue.Bus.Subjects.Prefix()+".due.>")) // those that are parked still will be due
		if err != nil && ctx.Err() == nil {
			s.telemetry.problem(err)
		}
	}
}

func (s *sweeper) sweep(ctx context.Context, stream events.Stream, filter string) error {
	state, err := s.queue.Streams.State(ctx, stream)
	if err != nil || state.Messages == 0 {
		return err
	}
	subjects, err := s.queue.Streams.SubjectCounts(ctx, stream, filter)
	if err != nil {
		return err
	}
	loaded := false
	for subject := range subjects {
		if s.served(subject) {
			continue
		}
		if !loaded { // what the definitions in memory lack may have been published a moment ago
			if err := s.definitions.Load(ctx); err != nil {
				return err
			}
			loaded = true
			if s.served(subject) {
				continue
			}
		}
		if err := s.endSubject(ctx, stream, subject); err != nil {
			return err
		}
	}
	return nil
}

// served reports whether an executor may take the messages of a subject.
func (s *sweeper) served(subject string) bool {
	if _, err := s.queue.Subjects.ParseInactivity(subject); err == nil {
		return true // by every executor
	}
	_, err := s.definitions.Get(s.connector(subject))
	return err == nil
}

// connector returns the connector of a subject, or "".
func (s *sweeper) connector(subject string) string {
	if webhook, err := s.queue.Subjects.ParseWebhook(subject); err == nil {
		return webhook.Connector
	}
	action, err := s.queue.Subjects.ParseAction(subject)
	if err != nil {
		return ""
	}
	return action.Connector
}

// endSubject ends what has lain on a subject for too long.
func (s *sweeper) endSubject(ctx context.Context, stream events.Stream, subject string) error {
	from := uint64(1)
	for range sweepLimit {
		message, err := s.queue.Streams.First(ctx, stream, from, subject)
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil || time.Since(message.Stored) < s.after {
			return err
		}
		if err := s.unprocessed.end(ctx, message, notRegistered(s.connector(subject))); err != nil {
			return err
		}
		if err := s.queue.Streams.Remove(ctx, stream, message.Sequence); err != nil {
			return err
		}
		from = message.Sequence + 1
	}
	return nil
}
