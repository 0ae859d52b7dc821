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
