package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// probeEvery is how often each process writes its one message into the stream of
	// probes: a store that fails for some seconds refuses writes from then on.
	probeEvery = 2 * time.Second
	// unreadyAfter is how long probes fail before the process is unready.
	unreadyAfter = 5 * time.Second
	// refusalHolds is how long a stream's refusal of another write makes it unready.
	refusalHolds = 30 * time.Second
	// leaveAfter is how long a server answers no JetStream request before another is tried.
	leaveAfter = 6 * time.Second
)

// health knows whether the store takes writes: from a probe, from the writes of this
// process, and from the embedded server.
type health struct {
	queue        *queue.Queue
	storeFailure func() error // of the embedded server; nil without one
	log          zerolog.Logger
	subject      string // of this process's probe

	mu        sync.Mutex
	lastGood  time.Time // of a probe; zero before the first
	cause     error     // of the last probe that failed, nil after a good one
	refusedAt time.Time // of another write
	refusal   error
}

func newHealth(o nodeOptions) *health {
	return &health{storeFailure: o.storeFailure, log: o.log, subject: o.settings.Prefix + ".probe." + events.NewID(), lastGood: time.Now()}
}

// refused notes that the store of a stream could not write a message of this process.
func (h *health) refused(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusedAt, h.refusal = time.Now(), err
}

// restarted forgets what the server before has refused.
func (h *health) restarted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusedAt, h.cause, h.lastGood = time.Time{}, nil, time.Now()
}

// problem returns why the store takes no writes, nil if it does.
func (h *health) problem() error {
	if h.storeFailure != nil {
		if err := h.storeFailure(); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.cause != nil && time.Since(h.lastGood) > unreadyAfter:
		return fmt.Errorf("no write for %v: %w", time.Since(h.lastGood).Round(time.Second), h.cause)
	case !h.refusedAt.IsZero() && time.Since(h.refusedAt) < refusalHolds:
		return h.refusal
	}
	return nil
}

// run probes until ctx ends.
func (h *health) run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for reported := false; ; {
		_, err := h.queue.Bus.Publish(ctx, h.subject, &events.Message{}, nil)
		if ctx.Err() != nil {
			return nil
		}
		h.probed(err)
		problem := h.problem()
		switch {
		case problem != nil && !reported:
			h.log.Error().Err(problem).Msg("NATS takes no writes")
		case problem == nil && reported:
			h.log.Info().Msg("NATS takes writes again")
		}
		reported = problem != nil
		h.leaveSilentServer(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *health) probed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cause = err; err == nil {
		h.lastGood = time.Now()
	}
}

// leaveSilentServer connects to another server of the cluster if this one takes no write
// and answers no JetStream request, as a server in the minority of a divided cluster.
func (h *health) leaveSilentServer(ctx context.Context) {
	h.mu.Lock()
	silent := h.cause != nil && time.Since(h.lastGood) > leaveAfter && !errors.Is(h.cause, events.ErrFull)
	h.mu.Unlock()
	nc := h.queue.Bus.JetStream().Conn()
	if !silent || !nc.IsConnected() || len(nc.Servers()) < 2 {
		return
	}
	ask, cancel := h.queue.Bus.Deadline(ctx)
	defer cancel()
	if _, err := h.queue.Bus.JetStream().AccountInfo(ask); err == nil || ctx.Err() != nil {
		return
	}
	h.log.Warn().Str("server", redactURLs(nc.ConnectedUrl())).Msg("the NATS server answers no JetStream request: connecting to another one")
	if err := nc.ForceReconnect(); err != nil {
		h.log.Warn().Err(err).Msg("connect to another NATS server")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastGood = time.Now().Add(-unreadyAfter) // the next one has some seconds too
}
