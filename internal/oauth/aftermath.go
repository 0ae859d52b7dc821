package oauth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// refreshed follows a stored refresh. scopes are those that were granted before it.
func (t *Tokens) refreshed(ctx context.Context, g *records.Grant, scopes []string) {
	gone := t.each(ctx, g, func(c *records.Connection) {
		if g.Companion == "" && (c.State == records.NeedsReauth || c.Resumes == records.NeedsReauth) {
			t.revive(ctx, g, c) // who authorised the dead grant may have died before it did
		}
		t.Service.Announce(ctx, events.OAuthRefreshed, c, events.Data{Operation: g.Companion, GrantedScopes: g.Granted})
		if !sameScopes(scopes, g.Granted) {
			t.Service.Announce(ctx, events.OAuthScopeChanged, c, events.Data{Operation: g.Companion, GrantedScopes: g.Granted})
		}
	})
	t.disownBeside(ctx, g.Key(), gone)
}

// settled is an age from which on the record that names a hold is stored, if it ever
// is: long after the end of any callback.
const settled = 10 * time.Minute

// Disown lets go of the holds that no record names of a grant that no refresh comes to,
// where they are found out by the way: a dead one, one whose token never ends or cannot
// be renewed, and a companion, whose main grant may be gone.
func (t *Tokens) Disown(ctx context.Context, g *records.Grant) {
	visited := g.State == records.GrantLive && renewable(g) && !g.ExpiresAt.IsZero() && g.MainGrant == ""
	old := slices.ContainsFunc(g.References, func(h records.GrantReference) bool { return t.opts.Now().Sub(h.Since) >= settled })
	if g.State == records.GrantUnused || visited || !old {
		return
	}
	t.disown(ctx, g.Key(), t.each(ctx, g, func(*records.Connection) {}))
}

// disownBeside is disown, of what was found by the way: nobody waits for it.
func (t *Tokens) disownBeside(ctx context.Context, grant string, gone []records.GrantReference) {
	if len(gone) > 0 {
		t.running.Go(func() { t.disown(context.WithoutCancel(ctx), grant, gone) })
	}
}

// disown lets go of holds that no record names: who disconnected the connection, or
// authorised it by another grant, died before this was done.
func (t *Tokens) disown(ctx context.Context, grant string, gone []records.GrantReference) {
	for _, h := range gone {
		if t.opts.Now().Sub(h.Since) < settled {
			continue
		}
		r, err := records.ParseKey(h.Connection)
		if err != nil {
			t.problem(err)
			continue
		}
		t.letGo(ctx, grant, r, h.ID, nil)
	}
}

// Schedule sets the grant's timer, the only one it has.
func (t *Tokens) Schedule(ctx context.Context, g *records.Grant) error {
	at := nextTimer(g, t.opts.Now())
	if at.IsZero() {
		return nil
	}
	return t.Queue.ScheduleRefresh(ctx, g.Key(), at)
}

// scheduleBeside sets the grant's timer while the grant is being stored; the returned
// function waits for it. A crash in between leaves a timer too early, which finds
// the grant not due and sets the right one, or one too late, which the sweep heals.
func (t *Tokens) scheduleBeside(ctx context.Context, g *records.Grant) (wait func()) {
	at, key, done := nextTimer(g, t.opts.Now()), g.Key(), make(chan struct{})
	go func() {
		defer close(done)
		if at.IsZero() {
			return
		}
		if err := t.Queue.ScheduleRefresh(ctx, key, at); err != nil {
			t.problem(err)
		}
	}()
	return func() { <-done }
}

// each calls f with the connections that share the grant, and returns the holds that
// no record names.
func (t *Tokens) each(ctx context.Context, g *records.Grant, f func(*records.Connection)) (gone []records.GrantReference) {
	for _, h := range g.References {
		c, err := t.Service.LatestByKey(ctx, h.Connection)
		switch {
		case errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}), err == nil && !c.HasReference(g, h):
			gone = append(gone, h)
		case err != nil:
			t.problem(err)
		default:
			f(c)
		}
	}
	return gone
}

// bury marks the grant dead, once for good, and has its owners told.
func (t *Tokens) bury(ctx context.Context, g *records.Grant, reason string) error {
	ctx = context.WithoutCancel(ctx)
	g.State, g.Intent, g.RetryAt = records.GrantRevoked, nil, time.Time{}
	g.AddHistory(t.opts.Now(), reason)
	err := t.Grants.Save(ctx, g)
	if errors.Is(err, records.ErrConflict) {
		return errAgain
	}
	if err != nil {
		return storeError(err)
	}
	t.opts.Log.Warn().Str("connector", g.Connector).Str("reason", reason).Msg("a grant needs a new authorisation")
	if g.Companion != "" {
		t.tell(ctx, g)
		return deadError(g)
	}
	t.mourn(ctx, g)
	return deadError(g)
}

// mourn marks the connections of a dead grant and announces each of them once. A
// companion's connections go on.
func (t *Tokens) mourn(ctx context.Context, g *records.Grant) {
	gone := t.each(ctx, g, func(c *records.Connection) {
		err := t.Service.NeedsReauth(ctx, c.Ref(), g.Key(), func(c *records.Connection) events.Data {
			return events.Data{ErrorCode: string(connectors.CodeConnectorOAuthRefreshFailed), ErrorMessage: deadError(g).Message, URL: t.ReconnectURL(c)}
		})
		if err != nil && !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
			t.problem(err)
		}
	})
	t.disownBeside(ctx, g.Key(), gone)
}

func deadError(g *records.Grant) *connectors.Error {
	what := "the connection to " + g.Connector
	if g.Companion != "" {
		what = "the token " + g.Companion + " of " + what
	}
	e := connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the provider no longer accepts %s; connect it again", what)
	if n := len(g.History); n > 0 {
		e.Reason = g.History[n-1].Outcome
	}
	return e
}

// Warn tells the owners, once per refresh token, that theirs is about to die.
func (t *Tokens) Warn(ctx context.Context, g *records.Grant) error {
	now := t.opts.Now()
	if g.RefreshExpires.IsZero() || g.ExpiryWarned || now.Before(g.RefreshExpires.Add(-warnBefore)) {
		return nil
	}
	g.ExpiryWarned = true
	if err := t.Grants.Save(ctx, g); err != nil {
		return err
	}
	t.each(ctx, g, func(c *records.Connection) {
		at := g.RefreshExpires
		t.Service.Announce(ctx, events.OAuthExpiring, c, events.Data{Operation: g.Companion, NextAttemptAt: &at, URL: t.ReconnectURL(c)})
	})
	return nil
}
