package records

import (
	"fmt"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// State of a connection.
type State string

// The states. A connection may be deleted from any.
//
//	            ┌──────────▶ selecting ──┐
//	pending ────┤                        ▼
//	            └──────────────────▶  active ⇄ disabled
//	                                    ⇅
//	                               needs_reauth
const (
	Pending     State = "pending"      // an OAuth flow was started
	Selecting   State = "selecting"    // waits for the choice of a site
	Active      State = "active"       // usable
	Disabled    State = "disabled"     // switched off by its owner
	NeedsReauth State = "needs_reauth" // the provider refuses its tokens for good
)

// transitions is the whole table: from → to.
var transitions = map[State][]State{
	"":          {Pending, Active},
	Pending:     {Selecting, Active},
	Selecting:   {Active},
	Active:      {Disabled, NeedsReauth},
	Disabled:    {Active, NeedsReauth},
	NeedsReauth: {Active, Disabled},
}

// CanBecome reports whether a connection in state s may change to next. Staying
// is no change and always allowed.
func (s State) CanBecome(next State) bool {
	return s == next && s != "" || slices.Contains(transitions[s], next)
}

// usable is nil if actions and webhooks may use the connection.
func (s State) usable(connector string) error {
	switch s {
	case Active:
		return nil
	case Disabled:
		return connectors.Errorf(connectors.CodeConnectorDisabled, "the connection to %s is disabled; enable it with toggle", connector)
	case NeedsReauth:
		return connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the provider no longer accepts the connection to %s; connect it again", connector)
	}
	return connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection to %s is not finished (it is %s)", connector, s)
}

// SwitchTo enables or disables the connection. Enabling brings back what disabling
// has ended, so that two toggles end where they began.
func (c *Connection) SwitchTo(enabled bool) error {
	from := c.State
	if enabled {
		next := Active
		if c.Resumes != "" {
			next = c.Resumes
		}
		c.Resumes = ""
		return c.Become(next)
	}
	if err := c.Become(Disabled); err != nil {
		return err
	}
	c.Resumes = ""
	if from != Active {
		c.Resumes = from
	}
	return nil
}

// Become changes the state. It is an error if the state does not allow the change.
func (c *Connection) Become(next State) error {
	if !c.State.CanBecome(next) {
		return fmt.Errorf("connection %s: %s cannot become %s", c.ID, c.State, next)
	}
	c.State = next
	return nil
}
