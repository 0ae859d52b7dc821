package executor

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/subscription"
	"github.com/hawser-io/hawser/pkg/events"
)

// adoptOrphans puts back the messages of a stream that their consumers will not hand out,
// and restarts consumers that hand out nothing. subjects are those that hold messages.
func (s *sweeper) adoptOrphans(ctx context.Context, stream events.Stream, subjects map[string]uint64) error {
	consumers := map[string]events.Consumer{}
	for subject := range subjects {
		if c, ok := s.consumerOf(stream, subject); ok {
			consumers[c.Name] = c
		}
	}
	var errs []error
	for _, c := range consumers {
		found, err := s.orphans.Find(ctx, c)
		if err != nil {
			return errors.Join(append(errs, err)...) // the server does not answer
		}
		for _, m := range found {
			err := s.adopt(ctx, m)
			if err == nil {
				err = s.queue.Streams.Remove(ctx, stream, m.Sequence)
			}
			if errs = append(errs, err); err == nil {
				s.telemetry.log.Warn().Str("consumer", c.Name).Uint64("sequence", m.Sequence).Msg("a message was not handed out any more, and is put back")
			}
		}
		if len(found) == 0 {
			errs = append(errs, s.restart(ctx, c))
		}
	}
	return errors.Join(errs...)
}

// consumerOf returns the consumer that hands out the messages of a subject.
func (s *sweeper) consumerOf(stream events.Stream, subject string) (events.Consumer, bool) {
	if _, err := s.queue.Subjects.ParseInactivity(subject); err == nil {
		return inactivityTimers(s.queue), true
	}
	if _, err := s.queue.Subjects.ParseSubscription(subject); err == nil {
		return subscription.Timers(s.queue), true
	}
	connector := s.connector(subject)
	_, notWebhook := s.queue.Subjects.ParseWebhook(subject)
	switch {
	case connector == "":
		return events.Consumer{}, false
	case stream == events.Actions:
		return newRequests(s.queue, connector), true
	case notWebhook == nil:
		return dueWebhooks(s.queue, connector), true
	}
	return dueRequests(s.queue, connector), true
}

// adopt puts a copy of a message into the queue.
func (s *sweeper) adopt(ctx context.Context, m *events.StoredMessage) error {
	if account, err := s.queue.Subjects.ParseInactivity(m.Subject); err == nil {
		return s.queue.ScheduleInactivity(ctx, account, time.Now())
	}
	if account, err := s.queue.Subjects.ParseSubscription(m.Subject); err == nil {
		return s.queue.ScheduleSubscription(ctx, account, time.Now())
	}
	if _, err := s.queue.Subjects.ParseWebhook(m.Subject); err == nil {
		webhook, err := s.queue.DueWebhook(ctx, m)
		if errors.Is(err, events.ErrNotFound) || errors.Is(err, events.ErrSubject) {
			return nil // its retention is over
		}
		if err != nil {
			return err
		}
		return s.queue.ParkWebhook(ctx, webhook, webhook.ID(), queue.Attempts(m), time.Now())
	}
	t, err := readTask(s.queue.Subjects, m)
	if err != nil {
		return s.unprocessed.actions.quarantine.store(ctx, m, err)
	}
	if t.malformed != nil {
		return s.unprocessed.end(ctx, m, inputInvalid(t.malformed))
	}
	request := t.request
	request.GeneratedID = false // it may have been delivered
	err = s.queue.Park(ctx, request, time.Now())
	if errors.Is(err, events.ErrTooLarge) {
		return s.unprocessed.end(ctx, m, errAttemptsUsedUp)
	}
	return err
}

// restartWebhooks looks at the consumers of webhooks, whose stream is no queue: what they
// have passed is not known to be processed or not, so only what they stopped at is seen.
func (s *sweeper) restartWebhooks(ctx context.Context) error {
	var errs []error
	for _, c := range s.unprocessed.webhooks.served.all() {
		if c.Webhook != nil {
			errs = append(errs, s.restart(ctx, newWebhooks(s.queue, c.Key)))
		}
	}
	return errors.Join(errs...)
}

func (s *sweeper) restart(ctx context.Context, c events.Consumer) error {
	restarted, err := s.orphans.Restart(ctx, c)
	if restarted && err == nil {
		s.telemetry.log.Warn().Str("consumer", c.Name).Msg("a consumer had stopped handing out messages, and is restarted")
	}
	return err
}
