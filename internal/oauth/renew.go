package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// errAgain: what was read is no longer so; begin again.
var errAgain = errors.New("again")

// renew brings the grant to what is needed. One process at a time does, by the
// lease; the others wait for what it stores.
func (t *Tokens) renew(ctx context.Context, key string, n need) (*records.Grant, error) {
	holder := events.NewID()
	g := n.known
	for ; ctx.Err() == nil; g = nil {
		if g == nil {
			var err error
			if g, err = t.Grants.Latest(ctx, key); err != nil {
				return nil, missingGrant(err)
			}
		}
		now := t.opts.Now()
		if n.satisfiedBy(g, now) {
			return g, nil
		}
		switch g.State {
		case records.GrantUnused:
			return nil, missingGrant(records.ErrNotFound)
		case records.GrantRevoked:
			t.mourn(ctx, g) // again: who marked it may have died before its connections were
			return nil, deadError(g)
		}
		if wait := g.RetryAt.Sub(now); wait > 0 && !n.now {
			return nil, &connectors.Error{Code: connectors.CodeConnectorOAuthTokenFailed, RetryAfter: wait,
				Message: "the token endpoint of " + g.Connector + " failed; it is left in peace for a while"}
		}
		lease, err := t.Leases.Acquire(ctx, key, holder, t.leaseTTL())
		if err != nil {
			return nil, err
		}
		if lease == nil {
			pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond))
			continue
		}
		g, err = t.renewUnder(ctx, lease, holder, g, n)
		if err == nil {
			// Nobody waits for it any more, and it ends by itself.
			t.running.Go(func() { t.Leases.Release(context.WithoutCancel(ctx), lease) })
			return g, nil
		}
		t.Leases.Release(context.WithoutCancel(ctx), lease)
		if !errors.Is(err, errAgain) {
			return nil, err
		}
	}
	return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the token could not be renewed in time; try again")
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// renewUnder makes the one call, between two writes: the intent, which proves that
// the store takes writes and tells successors that a rotation may have been lost;
// and the outcome, before anybody uses it. That g was read before the lease was
// taken does no harm: the intent is stored over the revision that was read, so
// whoever has renewed the grant in between is found out there.
func (t *Tokens) renewUnder(ctx context.Context, lease *records.Lease, holder string, g *records.Grant, n need) (*records.Grant, error) {
	now := t.opts.Now()
	opened, err := t.Grants.Open(g)
	if err != nil {
		return nil, err
	}
	if !renewable(g) {
		return t.cannot(ctx, g, n, now)
	}
	e, err := t.endpointOf(ctx, g)
	if err != nil {
		return nil, err
	}
	if foreign(g, e.app) {
		f := unusable(errForeign)
		f.lost = true // an intent that is there stays
		return t.failed(ctx, g, f)
	}
	lost := g.Intent != nil && (g.Intent.Holder != holder || g.Intent.Lost)
	if lost && !e.def.Auth.OAuth2.RepairHookPresent() {
		return nil, lacksCode(e.def)
	}
	g.Intent = &records.Intent{Generation: g.Generation + 1, Holder: holder, At: now.UTC(), Lost: lost}
	if err := t.Grants.Save(ctx, g); err != nil {
		if errors.Is(err, records.ErrConflict) {
			return nil, errAgain
		}
		return nil, storeError(err)
	}
	// A process may be stopped anywhere for any time. Who wakes past the lease must
	// not call: somebody else has, by now.
	e.before = func() error {
		if wall(time.Now()).Add(e.limit).After(wall(lease.Until)) {
			return errHeldBack
		}
		return nil
	}
	got, failed, err := t.call(ctx, e, g, opened, lease, n.turn)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		t.count(g, failed.verdict.String())
		return t.failed(ctx, g, failed)
	}
	t.count(g, got.outcome())
	return t.keep(ctx, g, opened, got, e.config)
}

// errNoTurn: the lease is too old to wait for a turn any longer.
var errNoTurn = fmt.Errorf("no turn: %w", errAgain)

// within is the turn, waited for while there is still enough of the lease left for a
// call that takes up to limit.
func (turn Turn) within(lease *records.Lease, limit time.Duration) Turn {
	return func(ctx context.Context) (done func(), err error) {
		if turn == nil {
			return func() {}, nil
		}
		waiting, cancel := context.WithDeadline(ctx, lease.Until.Add(-limit))
		defer cancel()
		if done, err = turn(waiting); err != nil {
			return nil, errNoTurn
		}
		return done, nil
	}
}

// call makes the call when its turn has come. Where a rotation may have been lost, and
// the provider has a way back from that, it is taken: before the old refresh token is
// tried, which could be punished, and before the grant is given up. Who needs the main
// grant first takes his turn after that: it may need one too.
func (t *Tokens) call(ctx context.Context, e endpoint, g *records.Grant, opened records.GrantTokens, lease *records.Lease, turn Turn) (got reply, failed *failure, err error) {
	mine := turn.within(lease, e.limit)
	if g.MainGrant != "" {
		return t.fromMain(ctx, e, g, e.def.Auth.OAuth2.Renewal, turn, mine)
	}
	done, err := mine(ctx)
	if err != nil {
		return reply{}, nil, err
	}
	defer done()
	if g.ClientCredentials {
		got, failed = e.mint(ctx, g.Requested)
		return got, failed, nil
	}
	if trades(g) {
		got, failed = e.trade(ctx, e.def.Auth.OAuth2.Renewal, opened.Access)
		return got, failed, nil
	}
	lost := g.Intent.Lost
	if lost && e.repairable() {
		if got, failed = e.repair(ctx, opened.Refresh); failed == nil || failed.verdict == transient {
			got.repaired = true
			return got, failed, nil
		}
	}
	got, failed = e.refresh(ctx, opened.Refresh)
	if failed != nil && failed.verdict == denied && !lost && e.repairable() && t.isNewest(ctx, g) {
		if repaired, unrepaired := e.repair(ctx, opened.Refresh); unrepaired == nil {
			repaired.repaired = true
			return repaired, nil, nil
		}
	}
	return got, failed, nil
}

// isNewest reports whether nobody has renewed the grant.
func (t *Tokens) isNewest(ctx context.Context, g *records.Grant) bool {
	newest, err := t.Grants.Latest(ctx, g.Key())
	return err == nil && newest.Generation == g.Generation
}

// wall strips the monotonic clock, which stands still while a machine sleeps.
func wall(at time.Time) time.Time { return at.Round(0) }

func storeError(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the grant could not be stored; try again")
	e.Cause = err
	return e
}

// cannot is what is left without a refresh token: the token serves until it
// expires, and then the user has to come again.
func (t *Tokens) cannot(ctx context.Context, g *records.Grant, n need, now time.Time) (*records.Grant, error) {
	if n.after < g.Generation && !expired(g, now) {
		return g, nil
	}
	if n.now && !expired(g, now) {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the provider gave no refresh token to %s", g.Connector)
	}
	return nil, t.bury(ctx, g, "no_refresh_token")
}

// errForeign is a client that did not get the grant.
var errForeign = errors.New("the grant was given to another client id: set that one again, or have the user connect again")

// foreign reports whether the grant was given to another client than the app is, which
// the provider would take for a grant that is no good. A client that mints its own
// tokens has been given none.
func foreign(g *records.Grant, app records.App) bool {
	return !g.ClientCredentials && g.ClientID != "" && g.ClientID != app.ClientID
}

// endpointOf is where the grant is refreshed, and as which client.
func (t *Tokens) endpointOf(ctx context.Context, g *records.Grant) (endpoint, error) {
	def, config, err := t.definition(ctx, g)
	if err != nil {
		return endpoint{}, err
	}
	if err := complete(def); err != nil {
		return endpoint{}, err
	}
	urls, err := def.OAuthEndpoints(config)
	if err != nil {
		return endpoint{}, err
	}
	app, err := t.appOf(ctx, def, config)
	if err != nil {
		return endpoint{}, err
	}
	url := urls.Refresh
	switch {
	case g.ClientCredentials:
		url = urls.Token
	case trades(g), g.MainGrant != "":
		if def.Auth.OAuth2.Renewal == nil {
			return endpoint{}, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s no longer says how its tokens are exchanged", g.Connector)
		}
		url = urls.Renewal
	}
	return t.endpoint(def, url, config, app), nil
}

func (t *Tokens) endpoint(def *connectors.Connector, url string, config []byte, app records.App) endpoint {
	return endpoint{def: def, url: url, config: config, app: app, http: t.HTTP, now: t.opts.Now, limit: t.opts.CallTimeout}
}

// definition returns the grant's connector, with its code where this process has
// it, and the config of one of the grant's connections, where URLs are made of it.
func (t *Tokens) definition(ctx context.Context, g *records.Grant) (*connectors.Connector, []byte, error) {
	def, err := t.connectorOf(g)
	if err != nil {
		return nil, nil, err
	}
	if !def.Auth.OAuth2.NeedsConfig() {
		return def, nil, nil
	}
	var gone []records.GrantReference
	defer func() { t.disownBeside(ctx, g.Key(), gone) }()
	for _, h := range g.References {
		c, err := t.Service.LatestByKey(ctx, h.Connection)
		if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) || err == nil && !c.HasReference(g, h) {
			gone = append(gone, h) // a record that has another grant now has its config
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		config, err := t.Service.ConfigOf(c)
		return def, config, err
	}
	return nil, nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "no connection uses the grant any more")
}

func (t *Tokens) connector(key string) (*connectors.Connector, error) {
	if t.Registry != nil {
		if c, ok := t.Registry.Get(key); ok && c.Auth.OAuth2 != nil {
			return c, nil
		}
	}
	c, err := t.Definitions.Get(key)
	if err != nil {
		return nil, err
	}
	if c.Auth.OAuth2 == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not an OAuth connector", key)
	}
	return c, nil
}

// connectorOf is the connector as the grant's tokens know it.
func (t *Tokens) connectorOf(g *records.Grant) (*connectors.Connector, error) {
	def, err := t.connector(g.Connector)
	if err != nil || g.Companion == "" {
		return def, err
	}
	as, ok := def.Companion(g.Companion)
	if !ok {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s has no token %q any more", g.Connector, g.Companion)
	}
	return as, nil
}

// elsewhere is after what time somebody with a connector's code may have used it.
const elsewhere = time.Minute

// complete refuses a connector whose token replies are read by code that this
// program does not have: before a code or a refresh token is spent on it.
func complete(def *connectors.Connector) error {
	if def.Auth.OAuth2.TokenHooksPresent() {
		return nil
	}
	return lacksCode(def)
}

func lacksCode(def *connectors.Connector) error {
	return &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured, RetryAfter: elsewhere,
		Message: "tokens of " + def.Key + " are read or repaired by its code, which this program does not have: build the program with the connector"}
}

// appOf is the client of the tenant's config, else the operator's.
func (t *Tokens) appOf(ctx context.Context, def *connectors.Connector, config []byte) (records.App, error) {
	own, err := def.ConfigClient(config)
	if err != nil {
		return records.App{}, err
	}
	if own != nil {
		app := records.App{ClientID: own.ID}
		if !own.Secret.IsZero() {
			app.ClientSecrets = append(app.ClientSecrets, own.Secret)
		}
		return app, nil
	}
	app, _, err := t.Apps.Get(ctx, def)
	return app, err
}

// Strings of verdicts, for the metric.
func (v verdict) String() string {
	return []string{"transient", "denied", "bad_client", "refused"}[v]
}

func (t *Tokens) count(g *records.Grant, outcome string) {
	t.refreshes.WithLabelValues(g.Connector, outcome).Inc()
}

func (t *Tokens) problem(err error) {
	t.opts.Log.Warn().Err(err).Msg("oauth")
}

// sameScopes reports whether nothing was added or taken.
func sameScopes(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
