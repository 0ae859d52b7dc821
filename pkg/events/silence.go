package events

import (
	"context"
	"time"
)

// A connection that usually hears webhooks has a timer, one per connection and
// replaced when it is set again:
//
//	<prefix>.parked.silence.<hash>                                    waiting
//	<prefix>.due.silence.<scope>.<identity>.<connector>.<account>     look now

// DueSilences matches every timer whose time has come.
func (n Names) DueSilences() string { return n.prefix + ".due.silence.>" }

// AwaitSilence sets the timer of a tenant's account at a connector.
func (b *Bus) AwaitSilence(ctx context.Context, t Tenant, connector, account string, at time.Time) error {
	whose := t.Tokens() + "." + Token(connector) + "." + Token(account)
	return b.publishStored(ctx, b.prefix+".parked.silence."+hashOf(whose), schedule(at, b.prefix+".due.silence."+whose), nil, nil)
}

// ParseSilence reads the subject of a timer.
func (n Names) ParseSilence(subject string) (t Tenant, connector, account string, err error) {
	rest, err := n.moved(subject, "due.silence", "action", 4)
	if err != nil {
		return t, "", "", err
	}
	ref, err := n.ParseAction(rest)
	return ref.Tenant, ref.Connector, ref.Action, err
}
