package oauth

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// A companion is a grant like any other: its own record, flight, lease, intent, timer,
// and revocation. Only the connection records know which belong together, and only
// the death of the main grant is the connection's.

// companion reads a companion's tokens out of the reply to a code; false if it holds
// none.
func (r reply) companion(o *connectors.OAuth2, fields map[string]string, now time.Time) (reply, bool) {
	look := func(name string) any {
		path, ok := fields[name]
		if !ok {
			return nil
		}
		return dig(r.document, path)
	}
	access := scalar(look("access_token"))
	if !usable(access) {
		return reply{}, false
	}
	return reply{
		Access:         secret.New(access),
		Refresh:        secret.New(scalar(look("refresh_token"))),
		Scopes:         scopesOf(o, look("scope")),
		ExpiresAt:      expiryOf(o.Expiry, look("expires_in"), access, now),
		RefreshExpires: refreshExpiry(o, look("refresh_expires_in"), now),
		Account:        scalar(look("account")),
	}, true
}

// companions stores what the reply holds of companions, and returns their grants by
// name. That one is missing, or cannot be stored, is no failure of the connection.
func (a *arrival) companions(ctx context.Context, main string, hold records.GrantReference, account string) map[string]string {
	keys := a.exchanged(ctx, main, hold, account)
	for name, got := range a.companionReplies() {
		def, _ := a.def.Companion(name)
		key := a.companionKey(name, cmp.Or(got.Account, account))
		_, err := a.put(ctx, key, hold, a.authorised(got, func(g *records.Grant) {
			a.identify(g, cmp.Or(got.Account, account))
			g.Companion, g.Requested = name, def.Auth.OAuth2.Scopes
			if got.Scopes == nil {
				g.Granted = g.Requested
			}
		}))
		if err != nil {
			a.problem(err)
			if !errors.Is(err, records.ErrUnavailable) {
				a.Tokens.abandon(ctx, key, def, a.config, a.app, got)
			}
			continue
		}
		keys[name] = key
	}
	return keys
}

// companionKey is the grant of a companion; account is "" where nobody says whose it is.
func (a *arrival) companionKey(name, account string) string {
	return records.CompanionKey(a.flow.Ref().Tenant, a.def.GrantFamily(), a.app.ClientID, cmp.Or(account, a.alone()), name)
}

// exchanged stores the grants of the companions that are had by exchange, as yet
// without tokens: the first who needs one has it made. It returns them by name.
func (a *arrival) exchanged(ctx context.Context, main string, hold records.GrantReference, account string) map[string]string {
	keys := map[string]string{}
	for name, own := range a.def.Auth.OAuth2.Companions {
		if own.Exchange == nil {
			continue
		}
		key := a.companionKey(name, account)
		_, err := a.put(ctx, key, hold, func(g *records.Grant) error {
			a.identify(g, account)
			g.Companion, g.MainGrant, g.Requested = name, main, own.Scopes
			if g.State == records.GrantLive {
				return nil // of a sibling: its token is as good for this one
			}
			g.State, g.Intent, g.Failures, g.RetryAt, g.Revocation = records.GrantLive, nil, 0, time.Time{}, nil
			return a.Grants.Seal(g, records.GrantTokens{})
		})
		if err != nil {
			a.problem(err)
			continue
		}
		keys[name] = key
	}
	return keys
}

// companionReplies are the companions that the reply holds, by name.
func (a *arrival) companionReplies() map[string]reply {
	o, found := a.def.Auth.OAuth2, map[string]reply{}
	for _, name := range slices.Sorted(maps.Keys(o.Companions)) {
		if o.Companions[name].Exchange != nil {
			continue
		}
		if got, ok := a.got.companion(o, o.Companions[name].TokenFields, a.opts.Now()); ok {
			found[name] = got
			continue
		}
		a.opts.Log.Info().Str("connector", a.def.Key).Str("companion", name).Msg("the provider gave no such token; the connection goes without")
	}
	return found
}

// Companion returns a companion's token of a connection, as [Tokens.Fresh] does.
// CONNECTOR_OAUTH_REFRESH_FAILED with the reason "missing" if the connection has none.
func (t *Tokens) Companion(ctx context.Context, c *records.Connection, name string) (Token, error) {
	grant := c.Companions[name]
	if grant == "" {
		e := connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the connection to %s has no token %q; connect it again, and grant it", c.Connector, name)
		e.Reason = "missing"
		return Token{}, e
	}
	return t.Fresh(ctx, grant)
}

// renewCompanions renews the companions of a connection now. What fails of them is
// no failure of the connection.
func (t *Tokens) renewCompanions(ctx context.Context, c *records.Connection) {
	for _, name := range slices.Sorted(maps.Keys(c.Companions)) {
		if _, err := t.Now(ctx, c.Companions[name]); err != nil {
			t.problem(err)
		}
	}
}

// tell announces, once, that a companion is dead. The connections go on without it.
func (t *Tokens) tell(ctx context.Context, g *records.Grant) {
	t.each(ctx, g, func(c *records.Connection) {
		t.Service.Announce(ctx, events.OAuthFailed, c, events.Data{
			Operation: "refresh " + g.Companion, ErrorCode: string(connectors.CodeConnectorOAuthRefreshFailed),
			ErrorMessage: deadError(g).Message, URL: t.ReconnectURL(c),
		})
	})
}
