package executor

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// Gate is the gate of a connector.
type Gate struct{ *gate }

// NewGate returns a gate with places.
func NewGate(places int) Gate { return Gate{newGate(places)} }

func (g Gate) Enter(ctx context.Context, t events.Tenant, urgent bool) bool {
	return g.enter(ctx, nil, t, urgent)
}
func (g Gate) TryEnter(t events.Tenant, urgent bool) bool { return g.tryEnter(t, urgent) }
func (g Gate) Leave(t events.Tenant, urgent bool)         { g.leave(t, urgent, time.Millisecond) }
func (g Gate) Turn(t events.Tenant) time.Time             { return g.turn(t) }
func (g Gate) Running(t events.Tenant) int                { return g.running(t) }

// Waiting and Known are how many wait, and how many tenants are remembered.
func (g Gate) Waiting() int { return g.queue() }
func (g Gate) Known() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.tenants)
}

// Announcer publishes lifecycle events for those who wait.
type Announcer struct{ *announcer }

// NewAnnouncer returns one on the bus.
func NewAnnouncer(bus *events.Bus) Announcer { return Announcer{newAnnouncer(bus)} }

// Run publishes until stop is closed.
func (a Announcer) Run(stop <-chan struct{}) { a.run(stop) }

// Announce has m published; what it returns waits for the stream to have it.
func (a Announcer) Announce(ctx context.Context, subject string, m *events.Message, opts *events.PublishOptions) func(context.Context) error {
	return a.announce(ctx, subject, m, opts).wait
}
