package token

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/secret"
)

// GrantWriter stores the outcome of token requests in grants.
type GrantWriter struct {
	grants    *records.Grants
	scheduler *Scheduler
	notifier  *Notifier
	revoker   *Revoker
	opts      Options
}

const (
	// retryWrite is the pause before a write is repeated that met a conflict or found no
	// store.
	retryWrite = 50 * time.Millisecond
	// storeTimeout is how long the writing of fresh tokens is repeated.
	storeTimeout = time.Minute
)

// StoreAuthorized stores the tokens of a new authorisation at key, as [GrantWriter.Store]
// does. describe fills in what the grant is of.
func (w *GrantWriter) StoreAuthorized(ctx context.Context, key string, ref records.GrantReference, got endpoint.Response, describe func(*records.Grant)) (*records.Grant, error) {
	return w.Store(ctx, key, ref, func(g *records.Grant) (err error) {
		var old records.GrantTokens
		if g.State == records.GrantLive && g.RefreshToken != "" {
			if old, err = w.grants.Open(g); err != nil {
				return err
			}
		}
		describe(g)
		return w.apply(g, old, got, "authorised")
	})
}

// Store stores a grant, new or shared, after fill has changed it, with a reference to it.
// The timer is set first: one too many finds nothing to do, but without one the grant
// would expire. An error that is [records.ErrUnavailable] means that the grant may be
// stored.
func (w *GrantWriter) Store(ctx context.Context, key string, ref records.GrantReference, fill func(*records.Grant) error) (*records.Grant, error) {
	var unsure error
	for ctx.Err() == nil {
		g, err := w.grants.Latest(ctx, key)
		if errors.Is(err, records.ErrNotFound) {
			g, err = w.grants.New(key), nil
			g.CreatedAt = w.opts.Now().UTC()
		}
		if err != nil {
			return nil, errors.Join(err, unsure)
		}
		if err := fill(g); err != nil {
			return nil, errors.Join(err, unsure)
		}
		g.AddReference(ref)
		if err := w.scheduler.Schedule(ctx, g); err != nil {
			return nil, errNotStored(errors.Join(err, unsure))
		}
		switch err := w.grants.Save(ctx, g); {
		case err == nil:
			return g, nil
		case errors.Is(err, records.ErrUnavailable):
			unsure = err
			w.opts.Warn(err)
		case !errors.Is(err, records.ErrConflict) && !errors.Is(err, records.ErrExists):
			return nil, errNotStored(errors.Join(err, unsure))
		}
		pause(ctx, retryWrite)
	}
	return nil, errNotStored(errors.Join(ctx.Err(), unsure))
}

// apply puts fresh tokens into the grant as generation g.Generation+1. A refresh token
// that the response does not replace is kept.
func (w *GrantWriter) apply(g *records.Grant, old records.GrantTokens, got endpoint.Response, word string) error {
	now := w.opts.Now().UTC()
	tokens := tokensOf(got)
	if tokens.Refresh.IsZero() {
		tokens.Refresh = old.Refresh
	} else {
		g.RefreshExpires, g.ExpiryWarned = got.RefreshExpires, false
	}
	if err := w.grants.Seal(g, tokens); err != nil {
		return err
	}
	g.Generation++
	g.State, g.Intent, g.Failures, g.Refusals, g.RetryAt, g.Revocation = records.GrantLive, nil, 0, 0, time.Time{}, nil
	g.IssuedAt, g.ExpiresAt = now, got.ExpiresAt
	if got.Scopes != nil {
		g.Granted = got.Scopes
	}
	g.AddHistory(now, word)
	return nil
}

func tokensOf(got endpoint.Response) records.GrantTokens {
	return records.GrantTokens{Access: got.Access, Refresh: got.Refresh}
}

// outcome is what a token request brought for a grant.
type outcome struct {
	grant  *records.Grant      // with the request's intent
	old    records.GrantTokens // its tokens before the request
	got    endpoint.Response
	config []byte // of the server, for a revocation: a removed grant has no connection
}

// stored is what the store holds after an outcome was written.
type stored struct {
	grant *records.Grant
	// overtaken means that a newer authorisation has replaced the outcome.
	overtaken bool
}

// storeRenewal stores the tokens of a renewal before anybody uses them.
func (w *GrantWriter) storeRenewal(ctx context.Context, o outcome) (*records.Grant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	scopes := o.grant.Granted
	s, err := w.store(ctx, o, func(g *records.Grant) error { return w.apply(g, o.old, o.got, outcomeOf(o.got)) })
	if err != nil {
		return nil, err
	}
	if !s.overtaken {
		w.notifier.refreshed(ctx, s.grant, scopes)
	}
	return s.grant, nil
}

// storeSuccessor ends the intent in a main grant whose refresh token was exchanged, and
// stores the successor of that refresh token if there is one. The access token stays.
func (w *GrantWriter) storeSuccessor(ctx context.Context, o outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	o.got = endpoint.Response{Access: o.old.Access, Refresh: o.got.Refresh, RefreshExpires: o.got.RefreshExpires}
	_, err := w.store(ctx, o, func(g *records.Grant) error {
		g.Intent = nil
		if o.got.Refresh.IsZero() {
			return nil
		}
		g.State, g.Failures, g.RetryAt = records.GrantLive, 0, time.Time{}
		return w.replaceRefreshToken(g, o.old.Access, o.got)
	})
	return err
}

func (w *GrantWriter) replaceRefreshToken(g *records.Grant, access secret.Text, got endpoint.Response) error {
	g.RefreshExpires, g.ExpiryWarned = got.RefreshExpires, false
	return w.grants.Seal(g, records.GrantTokens{Access: access, Refresh: got.Refresh})
}

// store stores an outcome as fill puts it into the grant. From here on no token may be
// lost: the caller's deadline does not count, and a write that meets a conflict is
// repeated over the newer record. Tokens that come too late go where they are of use: to
// a revocation under way, to a revocation of their own, or to a new authorisation that
// still has the spent refresh token.
func (w *GrantWriter) store(ctx context.Context, o outcome, fill func(*records.Grant) error) (stored, error) {
	g, before, revoked, overtaken := o.grant, o.grant.Generation, false, false
	newTokens := !o.got.Refresh.IsZero() || o.got.Access.Reveal() != o.old.Access.Reveal()
	if err := fill(g); err != nil {
		return stored{}, err
	}
	waitForTimer := w.scheduler.scheduleMeanwhile(ctx, g)
	defer waitForTimer()
	for {
		err := w.grants.Save(ctx, g)
		if err == nil {
			if revoked && g.State == records.GrantLive {
				w.notifier.Reactivate(ctx, g)
			}
			if overtaken {
				w.scheduler.reschedule(ctx, waitForTimer, g)
			}
			return stored{g, overtaken}, nil
		}
		if ctx.Err() != nil {
			w.opts.Log.Error().Err(err).Str("connector", g.Connector).Msg("fresh tokens could not be stored and are lost")
			return stored{}, errNotStored(err)
		}
		pause(ctx, retryWrite)
		newest, err := w.grants.Latest(ctx, g.Key())
		switch {
		case !newTokens && (errors.Is(err, records.ErrNotFound) || err == nil && newest.State == records.GrantUnused):
			return stored{}, errNoGrant()
		case errors.Is(err, records.ErrNotFound):
			w.revoker.revokeReturned(ctx, g, o.config, tokensOf(o.got))
			return stored{}, errNoGrant()
		case err != nil:
			continue
		case newest.State == records.GrantUnused:
			return stored{}, w.addToRevocation(ctx, newest, o)
		case newest.Generation > before && newest.AccessToken == g.AccessToken && !overtaken:
			return stored{grant: newest}, nil // a write of this loop, whose ack was lost
		case newest.Generation > before:
			g, overtaken = newest, true
			if spent, err := w.replaceSpent(g, o); err != nil || !spent {
				w.scheduler.reschedule(ctx, waitForTimer, g)
				return stored{g, true}, err
			}
			continue
		}
		revoked = newest.State == records.GrantRevoked // by a process that used the spent refresh token
		if err := fill(newest); err != nil {
			return stored{}, err
		}
		g = newest
	}
}

// replaceSpent puts the outcome's refresh token into the grant of a newer authorisation,
// if that has none of its own and still has the spent one. It reports whether it did.
func (w *GrantWriter) replaceSpent(newest *records.Grant, o outcome) (bool, error) {
	if o.got.Refresh.IsZero() || newest.RefreshToken == "" || newest.State != records.GrantLive {
		return false, nil
	}
	theirs, err := w.grants.Open(newest)
	if err != nil || theirs.Refresh.Reveal() != o.old.Refresh.Reveal() {
		return false, err
	}
	return true, w.replaceRefreshToken(newest, theirs.Access, o.got)
}

// addToRevocation leaves fresh tokens to the revocation of a grant that lost its last
// connection during the renewal.
func (w *GrantWriter) addToRevocation(ctx context.Context, g *records.Grant, o outcome) error {
	tokens := tokensOf(o.got)
	if tokens.Refresh.IsZero() {
		tokens.Refresh = o.old.Refresh
	}
	err := w.grants.Seal(g, tokens)
	if err == nil {
		err = w.grants.Save(ctx, g)
	}
	if err != nil {
		w.opts.Warn(err)
		w.revoker.revokeReturned(ctx, g, o.config, tokens)
	}
	// The renewal's timer may have replaced that of the revocation.
	if err := w.scheduler.scheduleAt(ctx, g, g.RetryAt); err != nil {
		w.opts.Warn(err)
	}
	return errNoGrant()
}
