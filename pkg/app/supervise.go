package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// restartAfter is how long the store of the embedded server takes no writes before
	// the server is restarted.
	restartAfter = 3 * time.Second
	// restartTimeout bounds a restart, with the recovery of the streams.
	restartTimeout = 2 * time.Minute
	// The next restart comes later each time, as long as the store does not recover.
	firstRestartPause, longestRestartPause = 10 * time.Second, 2 * time.Minute
)

// superviseStore restarts the embedded server when its store takes no writes: a store that
// failed once refuses them until then, also when the disk is well again. The error says
// that the server could not be started; the process then ends, for its supervisor.
func (n *node) superviseStore(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var since, next time.Time
	pause := firstRestartPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		problem := n.health.problem()
		if problem == nil || errors.Is(problem, events.ErrFull) { // a full store takes writes when something expires
			if since = (time.Time{}); time.Now().After(next) {
				pause = firstRestartPause
			}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < restartAfter || time.Now().Before(next) {
			continue
		}
		n.log.Error().Err(problem).Msg("the embedded NATS server takes no writes and is restarted")
		restarting, cancel := context.WithTimeout(ctx, restartTimeout)
		err := n.restart(restarting)
		cancel()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("its store took no writes (%w): %w", problem, err)
		}
		n.health.restarted()
		since, next = time.Time{}, time.Now().Add(pause)
		pause = min(2*pause, longestRestartPause)
	}
}
