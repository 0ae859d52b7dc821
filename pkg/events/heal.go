package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrStreamLost says that a stream was gone, with all that it held, and has been
// made again. It comes with [ErrUnavailable]: what was asked for did not happen,
// and can be tried again.
var ErrStreamLost = errors.New("events: a stream was gone with all that it held, and was made again")

// healEvery bounds how often a bus looks for streams that are gone.
const healEvery = time.Second

// healer remembers what [Bus.Ensure] made, so that a store that was wiped, or a
// stream that was deleted, does not need a restart of every program.
type healer struct {
	mu       sync.Mutex
	topology *Topology // nil until Ensure has succeeded; guarded by mu
	last     time.Time // guarded by mu
}

func (h *healer) remember(t Topology) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topology = &t
}

// heal looks whether err means that a stream is gone, and makes it again. It
// returns answer, with what it found out.
func (b *Bus) heal(ctx context.Context, err, answer error) error {
	if !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return answer
	}
	// Whoever comes second is told to try again, and need not wait for the first.
	if !b.healer.mu.TryLock() {
		return answer
	}
	defer b.healer.mu.Unlock()
	if b.healer.topology == nil || time.Since(b.healer.last) < healEvery {
		return answer
	}
	b.healer.last = time.Now()
	// Whoever waits here waited for an answer before: half of the patience is left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.publishTimeout/2)
	defer cancel()
	made, _, err := b.ensure(ctx, *b.healer.topology)
	if err != nil {
		return fmt.Errorf("%w, and cannot be made again: %w", answer, err)
	}
	if len(made) == 0 {
		return answer
	}
	return fmt.Errorf("%w: %w: %v", answer, ErrStreamLost, made)
}
