package executor

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// sweeper ends requests to connectors that nobody has registered, new ones and those that
// were parked while their connector was removed, and webhooks that were parked likewise.
// It puts back what a consumer will not hand out. Every executor has one: the subject of a
// result takes one message, and a message is removed by its sequence.
type sweeper struct {
	queue       *queue.Queue
	served      served
	lease       *serviceLease
	unprocessed *unprocessed
	orphans     *queue.Orphans
	after       time.Duration // how long a message may lie before
	quotas      *queue.Quotas
	telemetry   *telemetry
}

const (
	sweepEvery = time.Second
	// orphansEvery is after how many sweeps orphans are looked for.
	orphansEvery = 3
	// restartEvery is after how many sweeps the consumers of webhooks are looked at.
	restartEvery = 30
	// sweepLimit bounds the messages that one sweep ends on one subject.
	sweepLimit = 256
	// sweepErrors ends a sweep: so many errors are a failure of the server, not of messages.
	sweepErrors = 8
)

func (s *sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		look := n%orphansEvery == 0
		err := errors.Join(
			s.sweep(ctx, events.Actions, s.queue.Bus.Subjects.Actions(), look),
			s.sweep(ctx, queue.Parked, s.queue.Bus.Subjects.Prefix()+".due.>", look)) // those that are parked still will be due
		err = errors.Join(err, s.endExcess(ctx))
		if n%restartEvery == 0 {
			err = errors.Join(err, s.restartWebhooks(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.telemetry.problem(err)
		}
	}
}

// sweep looks at every subject of a stream. What is wrong with one message or subject is
// returned in the end, and stops nothing.
func (s *sweeper) sweep(ctx context.Context, stream events.Stream, filter string, lookForOrphans bool) error {
	state, err := s.queue.Streams.State(ctx, stream)
	if err != nil || state.Messages == 0 {
		return err
	}
	subjects, err := s.queue.Streams.SubjectCounts(ctx, stream, filter)
	if err != nil {
		return err
	}
	unserved := s.unserved(ctx, subjects)
	if len(unserved) > 0 { // what the definitions in memory lack may have been published a moment ago
		if err := s.served.definitions.Load(ctx); err != nil {
			return err
		}
		unserved = s.unserved(ctx, subjects)
	}
	var errs []error
	for subject, reason := range unserved {
		errs = append(errs, s.endSubject(ctx, stream, subject, reason)...)
		if len(errs) >= sweepErrors {
			return errors.Join(errs...)
		}
	}
	if lookForOrphans {
		errs = append(errs, s.adoptOrphans(ctx, stream, subjects))
	}
	return errors.Join(errs...)
}

// unserved returns the subjects whose messages no executor takes, with the reason.
func (s *sweeper) unserved(ctx context.Context, subjects map[string]uint64) map[string]error {
	unserved := map[string]error{}
	for subject := range subjects {
		if reason := s.notServed(ctx, subject); reason != nil {
			unserved[subject] = reason
		}
	}
	return unserved
}

// notServed returns why no executor takes the messages of a subject; nil if one does, or
// nobody can say.
func (s *sweeper) notServed(ctx context.Context, subject string) error {
	if _, err := s.queue.Subjects.ParseInactivity(subject); err == nil {
		return nil // by every executor
	}
	if _, err := s.queue.Subjects.ParseSubscription(subject); err == nil {
		return nil // by every executor
	}
	key := s.connector(subject)
	c, err := s.served.definitions.Get(key)
	if err != nil {
		return notRegistered(key)
	}
	if !c.Declarative() {
		if s.lease.abandoned(ctx, c) {
			return noExecutor(key)
		}
		return nil
	}
	if used, err := s.served.used(ctx, c); used || err != nil {
		return nil
	}
	return connectors.Errorf(connectors.CodeConnectorNotConnected, "nobody is connected to %s", key)
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

// endSubject ends what has lain on a subject for too long, and returns what went wrong.
func (s *sweeper) endSubject(ctx context.Context, stream events.Stream, subject string, reason error) (errs []error) {
	from := uint64(1)
	for range sweepLimit {
		message, err := s.queue.Streams.First(ctx, stream, from, subject)
		if errors.Is(err, events.ErrNotFound) || err == nil && time.Since(message.Stored) < s.after {
			return errs
		}
		if err != nil {
			return append(errs, err)
		}
		from = message.Sequence + 1
		if err = s.unprocessed.end(ctx, message, reason); err == nil {
			err = s.queue.Streams.Remove(ctx, stream, message.Sequence)
		}
		if err != nil {
			if errs = append(errs, err); len(errs) >= sweepErrors {
				return errs
			}
		}
	}
	return errs
}
