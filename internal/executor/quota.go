package executor

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// quotaRetryAfter is when a tenant beyond its quota may try again.
const quotaRetryAfter = 10 * time.Second

// quotaExceeded is for a request of a tenant whose requests take more than its quota of the
// stream.
func quotaExceeded() *connectors.Error {
	e := connectors.Errorf(connectors.CodeConnectorQuotaExceeded,
		"too many requests of this tenant wait, or too large ones: wait for results, or let the operator raise HAWSER_TENANT_REQUESTS and HAWSER_TENANT_REQUEST_BYTES")
	e.RetryAfter = quotaRetryAfter
	return e
}

// endExcess ends the newest requests of tenants whose requests take more than their quota:
// whoever publishes on NATS is not refused before.
func (s *sweeper) endExcess(ctx context.Context) error {
	over, err := s.quotas.Over(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, usage := range over {
		errs = append(errs, s.endNewest(ctx, usage))
	}
	return errors.Join(errs...)
}

func (s *sweeper) endNewest(ctx context.Context, usage queue.Usage) error {
	messages, bytes, ended := usage.ExcessMessages, usage.ExcessBytes, 0
	for subject, count := range usage.Subjects {
		for ; count > 0 && messages+bytes > 0 && ended < sweepLimit; count-- {
			m, err := s.queue.Streams.Newest(ctx, events.Actions, subject)
			if errors.Is(err, events.ErrNotFound) {
				break
			}
			if err == nil {
				err = s.unprocessed.end(ctx, m, connectors.Permanent(quotaExceeded()))
			}
			if err == nil {
				err = s.queue.Streams.Remove(ctx, events.Actions, m.Sequence)
			}
			if err != nil {
				return err
			}
			ended++
			messages -= min(messages, 1)
			bytes -= min(bytes, uint64(len(m.Data)))
		}
	}
	return nil
}
