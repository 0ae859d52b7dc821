package records

import (
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// GrantReference is what one authorisation has of a grant, for the connection that it makes.
// The record names the hold by which it has its grant. So whoever lets go of one, for
// a record that is gone, was replaced or never came to be, takes nothing from an
// authorisation of the same connection that is still on its way.
type GrantReference struct {
	Connection string    `json:"connection"` // key of the record
	ID         string    `json:"id"`
	Since      time.Time `json:"since"`
}

// NewGrantReference returns a hold for the connection.
func NewGrantReference(r Ref, now time.Time) GrantReference {
	return GrantReference{r.Key(), events.NewID(), now.UTC()}
}

// AddReference adds a hold to the grant; once, whatever how often it is called.
func (g *Grant) AddReference(h GrantReference) {
	if !slices.ContainsFunc(g.References, func(have GrantReference) bool { return have.ID == h.ID }) {
		g.References = append(g.References, h)
	}
}

// RemoveReference takes a hold from the grant, and reports whether it was there.
func (g *Grant) RemoveReference(connection, id string) bool {
	before := len(g.References)
	g.References = slices.DeleteFunc(g.References, func(h GrantReference) bool { return h.Connection == connection && h.ID == id })
	return len(g.References) < before
}

// HasReference reports whether the connection has the grant by the hold.
func (c *Connection) HasReference(g *Grant, h GrantReference) bool {
	grant := c.Grant
	if g.Companion != "" {
		grant = c.Companions[g.Companion]
	}
	return grant == g.key && c.GrantReference == h.ID
}
