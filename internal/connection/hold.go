package connection

import (
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// Hold is what one authorisation has of a grant, for the connection that it makes.
// The record names the hold by which it has its grant. So whoever lets go of one, for
// a record that is gone, was replaced or never came to be, takes nothing from an
// authorisation of the same connection that is still on its way.
type Hold struct {
	Connection string    `json:"connection"` // key of the record
	ID         string    `json:"id"`
	Since      time.Time `json:"since"`
}

// NewHold returns a hold for the connection.
func NewHold(r Ref, now time.Time) Hold { return Hold{r.Key(), events.NewID(), now.UTC()} }

// Hold adds a hold to the grant; once, whatever how often it is called.
func (g *Grant) Hold(h Hold) {
	if !slices.ContainsFunc(g.Holds, func(have Hold) bool { return have.ID == h.ID }) {
		g.Holds = append(g.Holds, h)
	}
}

// LetGo takes a hold from the grant, and reports whether it was there.
func (g *Grant) LetGo(connection, id string) bool {
	before := len(g.Holds)
	g.Holds = slices.DeleteFunc(g.Holds, func(h Hold) bool { return h.Connection == connection && h.ID == id })
	return len(g.Holds) < before
}

// Has reports whether the connection has the grant by the hold.
func (c *Connection) Has(g *Grant, h Hold) bool {
	grant := c.Grant
	if g.Companion != "" {
		grant = c.Companions[g.Companion]
	}
	return grant == g.key && c.Hold == h.ID
}
