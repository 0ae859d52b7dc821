package token

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// maxRevocations is how often a revocation is tried; with the backoff that takes some
// three hours.
const maxRevocations = 20

// revocationFailed is the text of a revocation that failed for good.
const revocationFailed = "the tokens could not be revoked at the provider; they remain valid until they expire, or until the user removes the access there"

// Revoker revokes tokens at the provider (RFC 7009).
type Revoker struct {
	grants      *records.Grants
	servers     *endpoint.Servers
	client      endpoint.Client
	scheduler   *Scheduler
	connections *connection.Service
	calls       *prometheus.CounterVec
	background  *sync.WaitGroup
	opts        Options
}

// Revoke revokes a grant that no connection uses, and deletes it when that has
// succeeded, or failed for good. Otherwise the grant's timer is set for the next try. A
// grant that was authorised again in the meantime stays.
func (r *Revoker) Revoke(ctx context.Context, g *records.Grant) error {
	if g.State != records.GrantUnused || g.Revocation == nil {
		return nil
	}
	err := r.revokeGrant(ctx, g)
	if failed, ok := errors.AsType[*endpoint.Error](err); ok && failed.Kind == endpoint.Transient && g.Revocation.Tries+1 < maxRevocations {
		g.Revocation.Tries++
		g.RetryAt = r.opts.Now().Add(backoff(g.Revocation.Tries, failed.RetryAfter)).UTC()
		if err := r.scheduler.scheduleAt(ctx, g, g.RetryAt); err != nil {
			return err
		}
		return ignoreConflict(r.grants.Save(ctx, g))
	}
	if err := r.grants.Delete(ctx, g); err != nil {
		return ignoreConflict(err)
	}
	if err != nil {
		r.opts.Log.Warn().Str("connector", g.Connector).Int("tries", g.Revocation.Tries+1).
			Msg("a grant could not be revoked at the provider; it was deleted here")
		c := &records.Connection{Scope: g.Scope, Identity: g.Identity, Connector: g.Connector, Account: g.Revocation.Account}
		r.connections.Announce(ctx, events.OAuthFailed, c, events.Data{
			Operation: "revoke", ErrorCode: string(connectors.CodeConnectorOAuthTokenFailed), ErrorMessage: revocationFailed,
		})
	}
	return nil
}

// ignoreConflict drops the errors of a grant that was authorised again, or is revoked by
// another process.
func ignoreConflict(err error) error {
	if errors.Is(err, records.ErrConflict) || errors.Is(err, records.ErrNotFound) {
		return nil
	}
	return err
}

// revokeGrant revokes the grant's tokens. Errors of kind Transient are worth a retry.
func (r *Revoker) revokeGrant(ctx context.Context, g *records.Grant) error {
	config, err := r.grants.RevocationConfig(g)
	if err != nil {
		r.opts.Warn(err)
		return err
	}
	opened, err := r.grants.Open(g)
	if err != nil {
		r.opts.Warn(err)
		return err
	}
	def, err := r.servers.ConnectorOf(g)
	if err != nil {
		return &endpoint.Error{Kind: endpoint.Transient} // the definition may be applied again
	}
	if !hasRevocation(def, config) {
		return nil
	}
	server, err := r.servers.Server(ctx, def, config)
	if err != nil {
		return &endpoint.Error{Kind: endpoint.Transient}
	}
	return r.revoke(ctx, server, opened)
}

// revoke revokes tokens, if the server has a revocation endpoint.
func (r *Revoker) revoke(ctx context.Context, server endpoint.Server, tokens records.GrantTokens) error {
	if server.Connector.Auth.OAuth2.RevocationURL == "" {
		return nil
	}
	err := r.client.Revoke(ctx, server, tokens)
	outcome := "revoked"
	if err != nil {
		outcome = "revocation_failed"
	}
	r.calls.WithLabelValues(server.Connector.Key, outcome).Inc()
	return err
}

// canRevoke reports whether the grant can be revoked at the provider.
func (r *Revoker) canRevoke(g *records.Grant, config []byte) bool {
	def, err := r.servers.ConnectorOf(g)
	return err == nil && hasRevocation(def, config)
}

func hasRevocation(def *connectors.Connector, config []byte) bool {
	_, err := def.OAuthEndpoints(config)
	return err == nil && def.Auth.OAuth2.RevocationURL != ""
}

// begin marks a grant as unused and starts its revocation. The timer is set first, so
// that a refresher continues if this process ends. revoked is closed after the first try.
func (r *Revoker) begin(ctx context.Context, g *records.Grant, account string, config []byte) (revoked <-chan struct{}, err error) {
	if def, err := r.servers.ConnectorOf(g); err != nil || !def.Auth.OAuth2.NeedsConfig() {
		config = nil
	}
	if err := r.grants.MarkUnused(g, account, config); err != nil {
		return nil, err
	}
	timeout := r.opts.CallTimeout + 10*time.Second
	g.RetryAt = r.opts.Now().Add(timeout).UTC()
	if err := r.scheduler.scheduleAt(ctx, g, g.RetryAt); err != nil {
		r.opts.Warn(err) // the refresher's sweep finds the grant
	}
	if err := r.grants.Save(ctx, g); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	r.background.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		if err := r.Revoke(ctx, g); err != nil {
			r.opts.Warn(err)
		}
	})
	return done, nil
}

// RevokeUnused revokes tokens of an authorisation that failed, also after ctx ended. It
// does nothing while the tenant has a live grant of the same account, which is at key:
// some providers issue the same token again, or revoke with one token all tokens of the
// account.
func (r *Revoker) RevokeUnused(ctx context.Context, key string, server endpoint.Server, got endpoint.Response) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.CallTimeout)
	defer cancel()
	switch g, err := r.grants.Latest(ctx, key); {
	case err == nil && g.State == records.GrantLive:
		return
	case err != nil && !errors.Is(err, records.ErrNotFound):
		r.opts.Warn(err)
		return // there may be a live grant
	}
	_ = r.revoke(ctx, server, tokensOf(got)) // there is no grant that could be tried again
}

// revokeReturned revokes tokens that a request returned after their grant was removed.
func (r *Revoker) revokeReturned(ctx context.Context, g *records.Grant, config []byte, tokens records.GrantTokens) {
	def, err := r.servers.ConnectorOf(g)
	if err != nil {
		return
	}
	if server, err := r.servers.Server(ctx, def, config); err == nil {
		_ = r.revoke(ctx, server, tokens)
	}
}
