package executor

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// serviceLease records which connectors an executor exists for. Those that need no code are
// served by every executor, and have no record.
type serviceLease struct {
	served   served
	records  *records.Serving // nil: nothing is recorded, and every connector counts as served
	duration time.Duration
	began    time.Time // connectors without a record count as served for one lease from then on
	problem  func(error)
	until    map[string]reading // used by the sweep only
}

// reading is what was recorded about a connector when it was read.
type reading struct{ until, read time.Time }

// readingHolds is how long the sweep uses a reading.
const readingHolds = 5 * time.Second

func (s *serviceLease) run(ctx context.Context) error {
	if s.records == nil {
		return nil
	}
	tick := time.NewTicker(s.duration / 8)
	defer tick.Stop()
	for {
		for _, c := range s.served.registry.All() {
			if err := s.records.Renew(ctx, c.Key, s.duration); err != nil && ctx.Err() == nil {
				s.problem(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// abandoned reports whether no executor with the code of a connector has run for a lease.
// An error counts as no.
func (s *serviceLease) abandoned(ctx context.Context, c *connectors.Connector) bool {
	if _, own := s.served.get(c.Key); own || s.records == nil || time.Since(s.began) < s.duration {
		return false
	}
	r, known := s.until[c.Key]
	if !known || time.Since(r.read) > readingHolds {
		until, err := s.records.Until(ctx, c.Key)
		if err != nil {
			s.problem(err)
			return false
		}
		r = reading{until, time.Now()}
		s.until[c.Key] = r
	}
	return time.Now().After(r.until)
}

// noExecutor is for requests to a connector whose executors have ended.
func noExecutor(connector string) error {
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorUnavailable,
		"no executor with connector %.64q has run for a while: start one and send the request again, or remove the connector", connector))
}
