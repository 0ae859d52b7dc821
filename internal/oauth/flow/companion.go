package flow

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
)

// A companion has a grant like any other: with its own record, lease, intent, timer and
// revocation. Only the connection records state which grants belong together, and only
// when the main grant is revoked does the connection need a new authorisation.

// storeCompanions stores the grants of the companions, and returns their keys by name. A
// companion that is missing, or cannot be stored, does not fail the connection.
func (a *authorization) storeCompanions(ctx context.Context, main string, ref records.GrantReference) map[string]string {
	keys := a.storeExchanged(ctx, main, ref)
	for name, got := range a.companionResponses() {
		account := cmp.Or(got.Account, a.account)
		key := a.companionKey(name, account)
		_, err := a.tokens.Grants.StoreAuthorized(ctx, key, ref, got, func(g *records.Grant) {
			a.describeOwner(g, account)
			g.Companion, g.Requested = name, a.def().Auth.OAuth2.Companions[name].Scopes
			if got.Scopes == nil {
				g.Granted = g.Requested
			}
		})
		if err != nil {
			a.warn(err)
			if !errors.Is(err, records.ErrUnavailable) {
				a.revokeCompanion(ctx, name, got)
			}
			continue
		}
		keys[name] = key
	}
	return keys
}

// companionKey returns the key of a companion's grant. account is "" if unknown.
func (a *authorization) companionKey(name, account string) string {
	return records.CompanionKey(a.flow.Ref().Tenant, a.def().GrantFamily(), a.server.App.ClientID, a.accountOrConnection(account), name)
}

// storeExchanged stores the grants of the companions whose tokens are exchanged, without
// tokens: the first use requests one. It returns their keys by name.
func (a *authorization) storeExchanged(ctx context.Context, main string, ref records.GrantReference) map[string]string {
	keys := map[string]string{}
	for name, companion := range a.def().Auth.OAuth2.Companions {
		if companion.Exchange == nil {
			continue
		}
		key := a.companionKey(name, a.account)
		_, err := a.tokens.Grants.Store(ctx, key, ref, func(g *records.Grant) error {
			a.describeOwner(g, a.account)
			g.Companion, g.MainGrant, g.Requested = name, main, companion.Scopes
			if g.State == records.GrantLive {
				return nil // another connection's: its token serves this one too
			}
			g.State, g.Intent, g.Failures, g.RetryAt, g.Revocation = records.GrantLive, nil, 0, time.Time{}, nil
			return a.tokens.Parts.Grants.Seal(g, records.GrantTokens{})
		})
		if err != nil {
			a.warn(err)
			continue
		}
		keys[name] = key
	}
	return keys
}

// companionResponses returns the companions' tokens that the response holds, by name.
func (a *authorization) companionResponses() map[string]endpoint.Response {
	o, found := a.def().Auth.OAuth2, map[string]endpoint.Response{}
	for _, name := range slices.Sorted(maps.Keys(o.Companions)) {
		if o.Companions[name].Exchange != nil {
			continue
		}
		if got, ok := a.got.Companion(o, o.Companions[name].TokenFields, a.tokens.Options.Now()); ok {
			found[name] = got
			continue
		}
		a.tokens.Options.Log.Info().Str("connector", a.def().Key).Str("companion", name).Msg("the response holds no such token; the connection is made without it")
	}
	return found
}

// revokeCompanion revokes a companion's tokens that were not stored.
func (a *authorization) revokeCompanion(ctx context.Context, name string, got endpoint.Response) {
	server, err := a.server.Companion(name)
	if err != nil {
		return
	}
	a.tokens.Revoker.RevokeUnused(ctx, a.companionKey(name, cmp.Or(got.Account, a.account)), server, got)
}

func (a *authorization) warn(err error) { a.tokens.Options.Warn(err) }
