package oauth

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/secret"
)

// apply puts fresh tokens into the grant as generation g.Generation+1. A refresh
// token that the provider does not repeat stays.
func (t *Tokens) apply(g *records.Grant, old records.GrantTokens, got reply, outcome string) error {
	now := t.opts.Now().UTC()
	tokens := records.GrantTokens{Access: got.Access, Refresh: got.Refresh}
	if tokens.Refresh.IsZero() {
		tokens.Refresh = old.Refresh
	} else {
		g.RefreshExpires, g.ExpiryWarned = got.RefreshExpires, false
	}
	if err := t.Grants.Seal(g, tokens); err != nil {
		return err
	}
	g.Generation++
	g.State, g.Intent, g.Failures, g.RetryAt, g.Revocation = records.GrantLive, nil, 0, time.Time{}, nil
	g.IssuedAt, g.ExpiresAt = now, got.ExpiresAt
	if got.Scopes != nil {
		g.Granted = got.Scopes
	}
	g.AddHistory(now, outcome)
	return nil
}

// raceWait is between two tries of a write that lost a race or found no store.
const raceWait = 50 * time.Millisecond

// authorised fills a grant with the tokens of an authorisation.
func (t *Tokens) authorised(got reply, describe func(*records.Grant)) func(*records.Grant) error {
	return func(g *records.Grant) (err error) {
		var old records.GrantTokens
		if g.State == records.GrantLive && g.RefreshToken != "" {
			if old, err = t.Grants.Open(g); err != nil {
				return err
			}
		}
		describe(g)
		return t.apply(g, old, got, "authorised")
	}
}

// put stores a grant, new or shared, filled by an authorisation and with its hold. The
// timer is set first: one too many finds nothing to do, one too few would let the grant
// die. An error that is [records.ErrUnavailable] says that it may be stored.
func (t *Tokens) put(ctx context.Context, key string, hold records.GrantReference, fill func(*records.Grant) error) (*records.Grant, error) {
	var unsure error
	for ctx.Err() == nil {
		g, err := t.Grants.Latest(ctx, key)
		if errors.Is(err, records.ErrNotFound) {
			g, err = t.Grants.New(key), nil
			g.CreatedAt = t.opts.Now().UTC()
		}
		if err != nil {
			return nil, errors.Join(err, unsure)
		}
		if err := fill(g); err != nil {
			return nil, errors.Join(err, unsure)
		}
		g.AddReference(hold)
		if err := t.Schedule(ctx, g); err != nil {
			return nil, storeError(errors.Join(err, unsure))
		}
		switch err := t.Grants.Save(ctx, g); {
		case err == nil:
			return g, nil
		case errors.Is(err, records.ErrUnavailable):
			unsure = err
			t.problem(err)
		case !errors.Is(err, records.ErrConflict) && !errors.Is(err, records.ErrExists):
			return nil, storeError(errors.Join(err, unsure))
		}
		pause(ctx, raceWait)
	}
	return nil, storeError(errors.Join(ctx.Err(), unsure))
}

// storePatience is how long fresh tokens are tried to be stored.
const storePatience = time.Minute

// keep stores the tokens of a refresh before anybody uses them. config is what the
// endpoint was made of: when the grant is gone, so are its connections.
func (t *Tokens) keep(ctx context.Context, g *records.Grant, old records.GrantTokens, got reply, config []byte) (*records.Grant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	scopes := g.Granted
	g, ours, err := t.store(ctx, g, old, got, config, func(g *records.Grant) error { return t.apply(g, old, got, got.outcome()) })
	if err == nil && ours {
		t.refreshed(ctx, g, scopes)
	}
	return g, err
}

// keepSuccessor ends the intent in the main grant, and keeps the successor of its
// refresh token if there is one. Its access token is as it was.
func (t *Tokens) keepSuccessor(ctx context.Context, main *records.Grant, old records.GrantTokens, got reply, config []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	got = reply{Access: old.Access, Refresh: got.Refresh, RefreshExpires: got.RefreshExpires}
	_, _, err := t.store(ctx, main, old, got, config, func(g *records.Grant) error {
		g.Intent = nil
		if got.Refresh.IsZero() {
			return nil
		}
		g.State, g.Failures, g.RetryAt = records.GrantLive, 0, time.Time{}
		return t.succeed(g, old.Access, got)
	})
	return err
}

// succeed gives a grant the refresh token that came for its own.
func (t *Tokens) succeed(g *records.Grant, access secret.Text, got reply) error {
	g.RefreshExpires, g.ExpiryWarned = got.RefreshExpires, false
	return t.Grants.Seal(g, records.GrantTokens{Access: access, Refresh: got.Refresh})
}

// store stores what came for a grant's refresh token, old, as outcome puts it into the
// record. From here on nothing may be lost: the caller's patience does not count, and a
// lost race is run again. What comes too late goes where it is of use: to a revocation
// that is under way, back to the provider, or to a new authorisation that has kept the
// spent token. ours reports whether what is stored is what was to be.
func (t *Tokens) store(ctx context.Context, g *records.Grant, old records.GrantTokens, got reply, config []byte, outcome func(*records.Grant) error) (stored *records.Grant, ours bool, err error) {
	from, buried := g.Generation, false
	news := !got.Refresh.IsZero() || got.Access.Reveal() != old.Access.Reveal()
	if err := outcome(g); err != nil {
		return nil, false, err
	}
	timer := t.scheduleBeside(ctx, g)
	defer timer()
	for overtaken := false; ; {
		err := t.Grants.Save(ctx, g)
		if err == nil {
			if buried && g.State == records.GrantLive {
				t.wake(ctx, g)
			}
			if overtaken {
				t.scheduleAfter(ctx, timer, g)
			}
			return g, !overtaken, nil
		}
		if ctx.Err() != nil {
			t.opts.Log.Error().Err(err).Str("connector", g.Connector).Msg("fresh tokens could not be stored and are lost")
			return nil, false, storeError(err)
		}
		pause(ctx, raceWait)
		newest, err := t.Grants.Latest(ctx, g.Key())
		switch {
		case !news && (errors.Is(err, records.ErrNotFound) || err == nil && newest.State == records.GrantUnused):
			return nil, false, missingGrant(records.ErrNotFound)
		case errors.Is(err, records.ErrNotFound):
			t.giveBack(ctx, g, config, records.GrantTokens{Access: got.Access, Refresh: got.Refresh})
			return nil, false, missingGrant(err)
		case err != nil:
			continue
		case newest.State == records.GrantUnused:
			return nil, false, t.handOver(ctx, newest, old, got, config)
		case newest.Generation > from && newest.AccessToken == g.AccessToken && !overtaken:
			return newest, true, nil // the write whose ack was lost
		case newest.Generation > from:
			g, overtaken = newest, true
			if spent, err := t.succeedSpent(g, old, got); err != nil || !spent {
				t.scheduleAfter(ctx, timer, g)
				return g, false, err
			}
			continue
		}
		buried = newest.State == records.GrantRevoked // by who found our token spent
		if err := outcome(newest); err != nil {
			return nil, false, err
		}
		g = newest
	}
}

// succeedSpent gives a newer authorisation's grant our successor, if its reply held no
// refresh token and it has kept the one that we have spent.
func (t *Tokens) succeedSpent(newest *records.Grant, old records.GrantTokens, got reply) (bool, error) {
	if got.Refresh.IsZero() || newest.RefreshToken == "" || newest.State != records.GrantLive {
		return false, nil
	}
	theirs, err := t.Grants.Open(newest)
	if err != nil || theirs.Refresh.Reveal() != old.Refresh.Reveal() {
		return false, err
	}
	return true, t.succeed(newest, theirs.Access, got)
}

// scheduleAfter sets a grant's timer again where ours, once it is set, may have taken
// its place.
func (t *Tokens) scheduleAfter(ctx context.Context, ours func(), g *records.Grant) {
	ours()
	if err := t.Schedule(ctx, g); err != nil {
		t.problem(err)
	}
}

// wake makes connections work again whose grant was dead.
func (t *Tokens) wake(ctx context.Context, g *records.Grant) {
	t.each(ctx, g, func(c *records.Connection) { t.revive(ctx, g, c) })
}

func (t *Tokens) revive(ctx context.Context, g *records.Grant, c *records.Connection) {
	if err := t.Service.Reactivate(ctx, c.Ref(), g.Key()); err != nil {
		t.problem(err)
	}
}

// handOver leaves fresh tokens to the revocation of a grant that lost its last
// connection while it was being renewed.
func (t *Tokens) handOver(ctx context.Context, g *records.Grant, old records.GrantTokens, got reply, config []byte) error {
	tokens := records.GrantTokens{Access: got.Access, Refresh: got.Refresh}
	if tokens.Refresh.IsZero() {
		tokens.Refresh = old.Refresh
	}
	err := t.Grants.Seal(g, tokens)
	if err == nil {
		err = t.Grants.Save(ctx, g)
	}
	if err != nil {
		t.problem(err)
		t.giveBack(ctx, g, config, tokens)
	}
	if err := t.Queue.ScheduleRefresh(ctx, g.Key(), g.RetryAt); err != nil { // ours may have taken its timer's place
		t.problem(err)
	}
	return missingGrant(records.ErrNotFound)
}

// failed does with a failed call what its kind demands. No credential is touched,
// and only a refusal for good changes the grant's state.
func (t *Tokens) failed(ctx context.Context, g *records.Grant, f *failure) (*records.Grant, error) {
	ctx = context.WithoutCancel(ctx)
	if errors.Is(f.cause, errHeldBack) {
		return nil, errAgain
	}
	if f.verdict == denied || f.verdict == refused && ended(g, t.opts.Now()) {
		newest, err := t.Grants.Latest(ctx, g.Key())
		if err == nil && newest.Generation > g.Generation {
			return newest, errAgain // somebody has rotated, and what we spent was old
		}
		return nil, t.bury(ctx, g, cmp.Or(f.word, "expired"))
	}
	g.Failures++
	g.RetryAt = t.opts.Now().Add(backoff(g.Failures, f.retryAfter)).UTC()
	if !f.lost && g.Intent != nil && !g.Intent.Lost {
		g.Intent = nil
	}
	g.AddHistory(t.opts.Now(), f.Error())
	if err := t.Grants.Save(ctx, g); err != nil && !errors.Is(err, records.ErrConflict) {
		t.problem(err)
	}
	e := f.coded()
	if f.verdict == badClient {
		e.Message = "the OAuth app of " + g.Connector + " is not accepted: " + f.Error()
		t.opts.Log.Error().Str("connector", g.Connector).Str("error", cmp.Or(f.word, f.Error())).Msg("the client id or secret of an app is not accepted")
	}
	if e.RetryAfter < time.Until(g.RetryAt) {
		e.RetryAfter = time.Until(g.RetryAt)
	}
	return nil, e
}
