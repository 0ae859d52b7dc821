// Package refresher is the role that renews OAuth tokens before they expire.
package refresher

import (
	"context"

	"github.com/hawser-io/hawser/pkg/events"
)

// Refresher joins the system and shows itself as a NATS micro service. Grants,
// whose timers it will take, come with OAuth connections.
type Refresher struct{ bus *events.Bus }

// New returns a refresher; Run it.
func New(bus *events.Bus) *Refresher { return &Refresher{bus} }

// Run is part of the system until ctx ends. serving is called once it shows.
func (r *Refresher) Run(ctx, grace context.Context, serving func()) error {
	return r.bus.Serve(ctx, grace, events.Service{Name: "hawser-refresher", Version: "1.0.0", Description: "renews OAuth tokens"}, serving)
}
