package token

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// errStale means that the grant has changed since it was read: read it again.
var errStale = errors.New("oauth: the grant has changed since it was read")

// renewer renews grants, one process at a time for each.
type renewer struct {
	grants  *records.Grants
	leases  *records.Leases
	servers *grantServers
	client  endpoint.Client
	writer  *GrantWriter
	// mainToken returns a token of a companion's main grant.
	mainToken  func(ctx context.Context, key string, need requirement) (Token, error)
	calls      *prometheus.CounterVec
	background *sync.WaitGroup
	opts       Options
}

// renewal is one renewal of a grant under its lease.
type renewal struct {
	r      *renewer
	grant  *records.Grant
	opened records.GrantTokens
	server endpoint.Server
	client endpoint.Client // sends nothing that could outlive the lease
	lease  *records.Lease
	holder string // of leases
	need   requirement
}

// leaseTTL is longer than the call that the lease covers.
func (r *renewer) leaseTTL() time.Duration {
	timeout := r.opts.CallTimeout
	return max((timeout + min(10*time.Second, timeout)).Round(time.Second), 2*time.Second)
}

// lastSend is until when a request may be sent under a lease.
func (r *renewer) lastSend(lease *records.Lease) time.Time {
	return lease.Until.Add(-r.client.Timeout)
}

// renew returns the grant once its token satisfies the requirement. The process that
// has the lease renews it; the others wait for what it stores.
func (r *renewer) renew(ctx context.Context, key string, need requirement) (*records.Grant, error) {
	holder := events.NewID()
	g := need.current
	for ; ctx.Err() == nil; g = nil {
		if g == nil {
			var err error
			if g, err = r.grants.Latest(ctx, key); err != nil {
				return nil, grantError(err)
			}
		}
		if need.satisfiedBy(g, r.opts.Now()) {
			return g, nil
		}
		if err := r.refuse(ctx, g, need); err != nil {
			return nil, err
		}
		lease, err := r.leases.Acquire(ctx, key, holder, r.leaseTTL())
		if err != nil {
			return nil, err
		}
		if lease == nil {
			pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond))
			continue
		}
		w := &renewal{r: r, grant: g, lease: lease, holder: holder, need: need, client: r.client.SendingBefore(r.lastSend(lease))}
		g, err = w.run(ctx)
		if err == nil {
			// The caller need not wait: the lease expires by itself.
			r.background.Go(func() { r.leases.Release(context.WithoutCancel(ctx), lease) })
			return g, nil
		}
		r.leases.Release(context.WithoutCancel(ctx), lease)
		if !errors.Is(err, errStale) {
			return nil, err
		}
	}
	return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the token could not be renewed in time; try again")
}

// refuse returns why the grant is not to be renewed now, or nil.
func (r *renewer) refuse(ctx context.Context, g *records.Grant, need requirement) error {
	switch g.State {
	case records.GrantUnused:
		return errNoGrant()
	case records.GrantRevoked:
		if need.noBackoff && g.Refusals >= maxRefusals && renewable(g) {
			return nil // the provider may have been at fault: somebody demands another try
		}
		// Again: the process that marked the grant may have ended before it marked them.
		r.writer.notifier.markConnectionsNeedReauth(ctx, g)
		return errGrantRevoked(g)
	}
	if wait := g.RetryAt.Sub(r.opts.Now()); wait > 0 && !need.noBackoff {
		return &connectors.Error{Code: connectors.CodeConnectorOAuthTokenFailed, RetryAfter: wait,
			Message: "the token endpoint of " + g.Connector + " failed; next attempt in " + max(wait.Round(time.Second), time.Second).String()}
	}
	return nil
}

// run makes the one request, between two writes: the intent, which proves that the store
// accepts writes and says to later processes that a rotation may have been lost; and the
// outcome, before anybody uses it. The grant may have been read before the lease was
// acquired: the intent is stored over the revision that was read, so a renewal in
// between is detected there.
func (w *renewal) run(ctx context.Context) (*records.Grant, error) {
	g := w.grant
	var err error
	if w.opened, err = w.r.grants.Open(g); err != nil {
		return nil, err
	}
	if !renewable(g) {
		return w.keepUntilExpiry(ctx)
	}
	if w.server, err = w.r.servers.renewalServer(ctx, g); err != nil {
		return nil, err
	}
	if otherClient(g, w.server.App) {
		return nil, w.r.writer.storeFailure(ctx, g, endpoint.ErrorOtherClient())
	}
	lost := g.Intent != nil && (g.Intent.Holder != w.holder || g.Intent.Lost)
	if lost && !w.server.Connector.Auth.OAuth2.RepairHookPresent() {
		return nil, endpoint.ErrorNoCode(w.server.Connector)
	}
	if err := w.storeIntent(ctx, g, lost); err != nil {
		return nil, err
	}
	got, err := w.request(ctx)
	if failed, ok := errors.AsType[*endpoint.Error](err); ok {
		w.count(failed.Kind.String())
		return nil, w.r.writer.storeFailure(ctx, g, failed)
	}
	if err != nil {
		return nil, err
	}
	w.count(outcomeOf(got))
	return w.r.writer.storeRenewal(ctx, outcome{grant: g, old: w.opened, got: got, config: w.server.Config})
}

// storeIntent announces the request in the grant.
func (w *renewal) storeIntent(ctx context.Context, g *records.Grant, lost bool) error {
	g.Intent = &records.Intent{Generation: g.Generation + 1, Holder: w.holder, At: w.r.opts.Now().UTC(), Lost: lost}
	err := w.r.grants.Save(ctx, g)
	if errors.Is(err, records.ErrConflict) {
		return errStale
	}
	if err != nil {
		return errNotStored(err)
	}
	return nil
}

// keepUntilExpiry returns a grant that cannot be renewed while its token is valid. Then
// the user has to authorise again.
func (w *renewal) keepUntilExpiry(ctx context.Context) (*records.Grant, error) {
	g, valid := w.grant, !expired(w.grant, w.r.opts.Now())
	if w.need.after < g.Generation && valid {
		return g, nil
	}
	if w.need.noBackoff && valid {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the provider gave no refresh token to %s", g.Connector)
	}
	return nil, w.r.writer.markRevoked(ctx, g, "no_refresh_token")
}

func (w *renewal) count(outcome string) {
	w.r.calls.WithLabelValues(w.grant.Connector, outcome).Inc()
}

// outcomeOf is the word for a response in histories and metrics.
func outcomeOf(got endpoint.Response) string {
	if got.Repaired {
		return "repaired"
	}
	return "refreshed"
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
