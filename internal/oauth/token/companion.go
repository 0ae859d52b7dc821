package token

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// exchangeMainToken exchanges the main grant's token for the companion's. A main token
// that is refused may have been revoked before its expiry, so it is renewed once; but
// only where it can be, because to demand a newer one would mark the main grant revoked
// for its companion's sake. A renewal of the main grant acquires a slot of its own.
func (w *renewal) exchangeMainToken(ctx context.Context) (endpoint.Response, error) {
	if w.server.Connector.Auth.OAuth2.Renewal.ExchangesRefreshToken() {
		return w.exchangeMainRefreshToken(ctx)
	}
	main, err := w.r.mainToken(ctx, w.grant.MainGrant, requirement{slot: w.need.slot})
	if err != nil {
		return endpoint.Response{}, err
	}
	got, err := w.exchange(ctx, main.Access)
	if kindOf(err) == endpoint.InvalidGrant && w.hasNewer(ctx, main.Generation) {
		if main, err = w.r.mainToken(ctx, w.grant.MainGrant, requirement{after: main.Generation, slot: w.need.slot}); err != nil {
			return endpoint.Response{}, err
		}
		return w.exchange(ctx, main.Access)
	}
	return got, err
}

// exchange exchanges a token of the main grant, with a slot.
func (w *renewal) exchange(ctx context.Context, subject secret.Text) (endpoint.Response, error) {
	release, err := w.acquireSlot(ctx)
	if err != nil {
		return endpoint.Response{}, err
	}
	defer release()
	return w.client.ExchangeToken(ctx, w.server, w.server.URLs.Renewal, w.server.Connector.Auth.OAuth2.Renewal, subject)
}

// hasNewer reports whether the main grant has, or can get, a token of a later
// generation.
func (w *renewal) hasNewer(ctx context.Context, generation uint64) bool {
	g, err := w.r.grants.Latest(ctx, w.grant.MainGrant)
	return err == nil && (g.Generation > generation || renewable(g))
}

// exchangeMainRefreshToken exchanges the main grant's refresh token for the companion's
// tokens. That spends it as a refresh does: under the main grant's lease, and between an
// intent and an outcome in its record. It is called under the companion's lease; no
// holder of a main grant's lease waits for a companion's.
func (w *renewal) exchangeMainRefreshToken(ctx context.Context) (endpoint.Response, error) {
	for ctx.Err() == nil {
		lease, err := w.r.leases.Acquire(ctx, w.grant.MainGrant, w.holder, w.r.leaseTTL())
		if err != nil {
			return endpoint.Response{}, err
		}
		if lease == nil {
			pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond))
			continue
		}
		got, err := w.exchangeUnderLease(ctx, lease)
		w.r.leases.Release(context.WithoutCancel(ctx), lease)
		if lost, ok := errors.AsType[lostRotation](err); ok {
			if _, err = w.r.mainToken(ctx, w.grant.MainGrant, requirement{after: lost.generation, slot: w.need.slot}); err == nil {
				continue
			}
		}
		if !errors.Is(err, errStale) || errors.Is(err, errNoSlot) {
			return got, err
		}
	}
	return endpoint.Response{}, errStale
}

// lostRotation means that a rotation of the main grant may be lost: of the request that
// was to make the generation after this. The grant's own renewal deals with that.
type lostRotation struct{ generation uint64 }

func (lostRotation) Error() string { return "oauth: a rotation of the main grant may be lost" }

// exchangeUnderLease exchanges the main refresh token under the main grant's lease.
func (w *renewal) exchangeUnderLease(ctx context.Context, lease *records.Lease) (endpoint.Response, error) {
	main, err := w.r.grants.Latest(ctx, w.grant.MainGrant)
	switch {
	case err != nil:
		return endpoint.Response{}, grantError(err)
	case main.State == records.GrantUnused:
		return endpoint.Response{}, errNoGrant()
	case main.State == records.GrantRevoked:
		return endpoint.Response{}, errGrantRevoked(main)
	case main.RefreshToken == "":
		return endpoint.Response{}, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed,
			"the provider gave no refresh token to %s, for which its token %q is exchanged; connect it again", w.grant.Connector, w.grant.Companion)
	case main.Intent != nil:
		return endpoint.Response{}, lostRotation{main.Generation}
	}
	opened, err := w.r.grants.Open(main)
	if err != nil {
		return endpoint.Response{}, err
	}
	// The slot comes before the intent: without a slot there is no request to announce.
	release, err := w.acquireSlot(ctx)
	if err != nil {
		return endpoint.Response{}, err
	}
	got, err := w.exchangeWithIntent(ctx, lease, main, opened.Refresh)
	release()
	failed, isFailure := errors.AsType[*endpoint.Error](err)
	if err != nil && (!isFailure || failed.MayHaveSucceeded) {
		return got, err // an intent that was stored stays
	}
	if err := w.r.writer.storeSuccessor(ctx, outcome{grant: main, old: opened, got: got, config: w.server.Config}); err != nil {
		return endpoint.Response{}, err
	}
	got.Refresh, got.RefreshExpires = secret.Text{}, time.Time{} // it is the main grant's
	return got, err
}

func (w *renewal) exchangeWithIntent(ctx context.Context, lease *records.Lease, main *records.Grant, refresh secret.Text) (endpoint.Response, error) {
	if err := w.storeIntent(ctx, main, false); err != nil {
		return endpoint.Response{}, err
	}
	client := w.client.SendingBefore(w.r.lastSend(lease))
	return client.ExchangeToken(ctx, w.server, w.server.URLs.Renewal, w.server.Connector.Auth.OAuth2.Renewal, refresh)
}
