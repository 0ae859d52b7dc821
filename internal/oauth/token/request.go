package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
)

// errNoSlot means that the lease is too old to wait for a slot any longer.
var errNoSlot = fmt.Errorf("no concurrency slot in time: %w", errStale)

// acquireSlot waits for a concurrency slot while the lease still covers a call.
func (w *renewal) acquireSlot(ctx context.Context) (release func(), err error) {
	if w.need.slot == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithDeadline(ctx, w.r.lastSend(w.lease))
	defer cancel()
	if release, err = w.need.slot(ctx); err != nil {
		return nil, errNoSlot
	}
	return release, nil
}

// request makes the token request of the grant's kind. Failures of the token endpoint
// are of type [*endpoint.Error].
func (w *renewal) request(ctx context.Context) (endpoint.Response, error) {
	if w.grant.MainGrant != "" {
		return w.exchangeMainToken(ctx) // which may renew the main grant, and acquires its slots itself
	}
	release, err := w.acquireSlot(ctx)
	if err != nil {
		return endpoint.Response{}, err
	}
	defer release()
	switch {
	case w.grant.ClientCredentials:
		return w.client.ClientCredentials(ctx, w.server, w.grant.Requested)
	case byExchange(w.grant):
		return w.client.ExchangeToken(ctx, w.server, w.server.URLs.Renewal, w.server.Connector.Auth.OAuth2.Renewal, w.opened.Access)
	}
	return w.refresh(ctx)
}

// refresh uses the refresh token. Where a rotation may have been lost and the provider
// can repair that, repair comes first: before the old refresh token is used, which the
// provider might punish, and before the grant is given up.
func (w *renewal) refresh(ctx context.Context) (endpoint.Response, error) {
	lost, repairable := w.grant.Intent.Lost, w.server.CanRepair()
	if lost && repairable {
		if got, err := w.client.Repair(ctx, w.server, w.opened.Refresh); err == nil || kindOf(err) == endpoint.Transient {
			return got, err
		}
	}
	got, err := w.client.Refresh(ctx, w.server, w.opened.Refresh, w.grant.Requested)
	if err != nil && kindOf(err) == endpoint.InvalidGrant && !lost && repairable && w.isNewest(ctx) {
		if repaired, err := w.client.Repair(ctx, w.server, w.opened.Refresh); err == nil {
			return repaired, nil
		}
	}
	return got, err
}

// isNewest reports whether no other process has renewed the grant.
func (w *renewal) isNewest(ctx context.Context) bool {
	newest, err := w.r.grants.Latest(ctx, w.grant.Key())
	return err == nil && newest.Generation == w.grant.Generation
}

// kindOf returns the kind of a token endpoint's failure; -1 for other errors.
func kindOf(err error) endpoint.Kind {
	if failed, ok := errors.AsType[*endpoint.Error](err); ok {
		return failed.Kind
	}
	return -1
}

// otherClient reports whether the grant was given to another client than the app is: the
// provider would take it for an invalid grant. A client's own tokens are not given to it
// by a user.
func otherClient(g *records.Grant, app records.App) bool {
	return !g.ClientCredentials && g.ClientID != "" && g.ClientID != app.ClientID
}
