package refresher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/oauth/token"
)

// limits bounds the renewals of each connector, so that a slow provider delays only its
// own grants.
type limits struct {
	slots     int // calls of one provider at once
	maxGrants int // grants of one connector that are renewed or wait for it

	mu         sync.Mutex
	connectors map[string]*limit // those with such grants; guarded by mu
}

// limit is that of one connector. grants and average are guarded by limits.mu.
//
// Twice as many renewals are in progress as may call the provider, so that those that
// read and write do not keep it idle: with a token endpoint of 50 ms that is 0.94 of the
// rate of a bare loop instead of 0.85, and with synced writes 0.80 instead of 0.62.
type limit struct {
	renewals *semaphore.Weighted
	calls    *semaphore.Weighted
	grants   int
	average  time.Duration // of a renewal, a moving average
}

const (
	// firstAverage is assumed before the first renewal.
	firstAverage                = 250 * time.Millisecond
	shortestRetry, longestRetry = 50 * time.Millisecond, 30 * time.Second
)

// busyError says that as many grants of the connector wait as may.
type busyError struct {
	connector string
	retryIn   time.Duration // about when half of them are renewed
}

func (e *busyError) Error() string {
	return fmt.Sprintf("too many grants of %s are due; next attempt in %v", e.connector, e.retryIn)
}

// run waits until a renewal of the connector may begin, and calls renew, which acquires a
// slot for each call of the provider. The error is that of renew, a [busyError], or that
// ctx has ended.
func (l *limits) run(ctx context.Context, connector string, renew func(token.AcquireSlot) error) error {
	own, err := l.enter(connector)
	if err != nil {
		return err
	}
	defer l.leave(connector, own)
	if err := own.renewals.Acquire(ctx, 1); err != nil {
		return err
	}
	defer own.renewals.Release(1)
	began := time.Now()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		own.average += (time.Since(began) - own.average) / 8
	}()
	return renew(own.acquireCall)
}

// acquireCall is a [token.AcquireSlot].
func (l *limit) acquireCall(ctx context.Context) (release func(), err error) {
	if err := l.calls.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { l.calls.Release(1) }, nil
}

func (l *limits) enter(connector string) (*limit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.connectors[connector]
	if own == nil {
		own = &limit{
			renewals: semaphore.NewWeighted(2 * int64(l.slots)), calls: semaphore.NewWeighted(int64(l.slots)), average: firstAverage,
		}
		l.connectors[connector] = own
	}
	if own.grants >= l.maxGrants {
		all := own.average * time.Duration(own.grants) / time.Duration(2*l.slots)
		all = min(max(all, shortestRetry), longestRetry)
		return nil, &busyError{connector, all/2 + rand.N(all)}
	}
	own.grants++
	return own, nil
}

func (l *limits) leave(connector string, own *limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.grants--; own.grants == 0 {
		delete(l.connectors, connector)
	}
}
