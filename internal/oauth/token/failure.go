package token

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// storeFailure stores that a token request failed, and returns the error for callers, or
// errStale. No token is changed, and only a refusal for good changes the grant's state.
func (w *GrantWriter) storeFailure(ctx context.Context, g *records.Grant, failed *endpoint.Error) error {
	ctx = context.WithoutCancel(ctx)
	if errors.Is(failed, endpoint.ErrNotSent) {
		return errStale
	}
	if failed.Kind == endpoint.InvalidGrant || failed.Kind == endpoint.Rejected && exchangeExpired(g, w.opts.Now()) {
		newest, err := w.grants.Latest(ctx, g.Key())
		if err == nil && newest.Generation > g.Generation {
			return errStale // another process has rotated the refresh token
		}
		return w.markRevoked(ctx, g, cmp.Or(failed.ProviderCode, "expired"))
	}
	if failed.Refusal && pastExpiry(g, w.opts.Now()) {
		if g.Refusals++; g.Refusals >= maxRefusals {
			return w.markRevoked(ctx, g, cmp.Or(failed.ProviderCode, "refused"))
		}
	}
	g.Failures++
	g.RetryAt = w.opts.Now().Add(backoff(g.Failures, failed.RetryAfter)).UTC()
	if !failed.MayHaveSucceeded && g.Intent != nil && !g.Intent.Lost {
		g.Intent = nil
	}
	g.AddHistory(w.opts.Now(), failed.Error())
	if err := w.grants.Save(ctx, g); err != nil && !errors.Is(err, records.ErrConflict) {
		w.opts.Warn(err)
	}
	e := failed.Coded()
	if failed.Kind == endpoint.InvalidClient {
		e.Message = "the OAuth app of " + g.Connector + " is not accepted: " + failed.Error()
		w.opts.Log.Error().Str("connector", g.Connector).Str("error", cmp.Or(failed.ProviderCode, failed.Error())).Msg("the client id or secret of an app is not accepted")
	}
	e.RetryAfter = max(e.RetryAfter, time.Until(g.RetryAt))
	return e
}

// maxRefusals is after how many refusals in no known word, past its expiry, a token is taken
// for refused for good. With the backoff that takes some two minutes.
const maxRefusals = 8

// pastExpiry reports whether the grant's access token is of no use any more. One without an
// expiry is renewed only when the provider has refused it.
func pastExpiry(g *records.Grant, now time.Time) bool {
	return g.ExpiresAt.IsZero() || !now.Before(g.ExpiresAt)
}

// markRevoked marks a grant whose user has to authorise again, and publishes that. It
// returns the error for callers, or errStale.
func (w *GrantWriter) markRevoked(ctx context.Context, g *records.Grant, reason string) error {
	ctx = context.WithoutCancel(ctx)
	g.State, g.Intent, g.RetryAt = records.GrantRevoked, nil, time.Time{}
	g.AddHistory(w.opts.Now(), reason)
	err := w.grants.Save(ctx, g)
	if errors.Is(err, records.ErrConflict) {
		return errStale
	}
	if err != nil {
		return errNotStored(err)
	}
	w.opts.Log.Warn().Str("connector", g.Connector).Str("reason", reason).Msg("a grant needs a new authorisation")
	if g.Companion != "" {
		w.notifier.companionRevoked(ctx, g)
	} else {
		w.notifier.markConnectionsNeedReauth(ctx, g)
	}
	return errGrantRevoked(g)
}

// errGrantRevoked returns the error of a grant whose user has to authorise again.
func errGrantRevoked(g *records.Grant) *connectors.Error {
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

func errNotStored(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the grant could not be stored; try again")
	e.Cause = err
	return e
}
