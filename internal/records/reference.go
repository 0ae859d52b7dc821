package records

import (
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// GrantReference says that a connection uses a grant. Each authorisation adds one with an id of its own, which the
// connection's record names. So removing the reference of a record that was deleted, replaced or never stored does not
// remove that of another authorisation of the same connection.
type GrantReference struct {
	Connection string    `json:"connection"` // key of the record
	ID         string    `json:"id"`
	Since      time.Time `json:"since"`
}

// NewGrantReference returns a new reference from the connection.
func NewGrantReference(r Ref, now time.Time) GrantReference {
	return GrantReference{r.Key(), events.NewID(), now.UTC()}
}

// AddReference adds a reference, unless the grant has it.
func (g *Grant) AddReference(ref GrantReference) {
	if !slices.ContainsFunc(g.References, func(have GrantReference) bool { return have.ID == ref.ID }) {
		g.References = append(g.References, ref)
	}
}

// RemoveReference removes a reference, and reports whether the grant had it.
func (g *Grant) RemoveReference(connection, id string) bool {
	before := len(g.References)
	g.References = slices.DeleteFunc(g.References, func(ref GrantReference) bool { return ref.Connection == connection && ref.ID == id })
	return len(g.References) < before
}

// HasReference reports whether the connection uses the grant by this reference.
func (c *Connection) HasReference(g *Grant, ref GrantReference) bool {
	grant := c.Grant
	if g.Companion != "" {
		grant = c.Companions[g.Companion]
	}
	return grant == g.key && c.GrantReference == ref.ID
}
