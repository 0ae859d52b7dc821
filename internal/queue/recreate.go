package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrStreamRecreated says that a stream did not exist and was created again, without
// the messages that it held. It comes with [events.ErrUnavailable]: nothing was
// stored, and the call can be repeated.
var ErrStreamRecreated = errors.New("queue: a stream had been deleted with all its messages, and was created again")

// recreateInterval is the least time between two attempts to create streams again.
const recreateInterval = time.Second

// recreate creates the streams that do not exist, so that a store that was wiped, or
// a stream that was deleted, needs no restart of the programs. It does nothing before
// [Queue.Ensure] has succeeded.
func (q *Queue) recreate(ctx context.Context) error {
	// Concurrent callers return at once: their calls have failed, and are repeated.
	if !q.mu.TryLock() {
		return nil
	}
	defer q.mu.Unlock()
	if q.topology == nil || time.Since(q.lastRecreate) < recreateInterval {
		return nil
	}
	q.lastRecreate = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.recreateTimeout)
	defer cancel()
	result, err := q.ensure(ctx, *q.topology)
	if err != nil {
		return fmt.Errorf("create the missing streams: %w", err)
	}
	if len(result.created) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %v", ErrStreamRecreated, result.created)
}
