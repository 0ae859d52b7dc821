package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
)

// Disconnect removes a connection. The last one of a grant takes it along, and has
// it revoked at the provider; that a provider does not answer keeps nobody from
// leaving, and is tried again later.
func (t *Tokens) Disconnect(ctx context.Context, r records.Ref) error {
	gone, err := t.Service.Disconnect(ctx, r)
	if err != nil {
		return err
	}
	t.release(ctx, gone)
	return nil
}

// release lets go of what a record had, that is gone or was replaced; nil is none.
func (t *Tokens) release(ctx context.Context, c *records.Connection) {
	if c == nil || c.Grant == "" {
		return
	}
	// What the revocation's URL may be made of is gone with the record.
	config, err := t.Service.ConfigOf(c)
	if err != nil {
		config = nil
	}
	t.letGoAll(ctx, c.Grant, c.Companions, c.Ref(), c.GrantReference, config)
}

// takeBack lets go of the grants that came for a record which could not be stored.
// One that may be stored after all keeps them: a later refresh finds out.
func (t *Tokens) takeBack(ctx context.Context, failure error, r records.Ref, in connection.AuthorizeInput, config []byte) {
	if errors.Is(failure, records.ErrUnavailable) {
		return
	}
	t.letGoAll(ctx, in.Grant, in.Companions, r, in.GrantReference, config)
}

// revokeWait is how long a disconnect waits for the provider, so that where all is
// well its grants are revoked when it returns.
const revokeWait = 2 * time.Second

// letGoAll lets go of a connection's grants, and waits a little for their revocations.
func (t *Tokens) letGoAll(ctx context.Context, grant string, companions map[string]string, r records.Ref, hold string, config []byte) {
	revoked := []<-chan struct{}{t.letGo(ctx, grant, r, hold, config)}
	for _, companion := range companions {
		revoked = append(revoked, t.letGo(ctx, companion, r, hold, config))
	}
	timer := time.NewTimer(revokeWait)
	defer timer.Stop()
	for _, done := range revoked {
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-timer.C:
			return
		}
	}
}

// letGo takes a hold out of its grant: one that no record names, nor will. The last
// one takes the grant along: it is revoked behind the caller's back, and revoked is
// closed when that has been tried; nil if it is not.
func (t *Tokens) letGo(ctx context.Context, grant string, r records.Ref, hold string, config []byte) (revoked <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CallTimeout)
	defer cancel()
	for range 16 {
		g, err := t.Grants.Latest(ctx, grant)
		if errors.Is(err, records.ErrNotFound) {
			return nil
		}
		if err != nil {
			t.problem(err)
			return nil
		}
		if g.State == records.GrantUnused || !g.RemoveReference(r.Key(), hold) {
			return nil
		}
		switch {
		case len(g.References) > 0:
			err = t.Grants.Save(ctx, g)
		case g.State == records.GrantLive && g.AccessToken+g.RefreshToken != "" && t.revocable(g, config):
			revoked, err = t.depart(ctx, g, r.Account, config)
		default:
			err = t.Grants.Delete(ctx, g)
		}
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			t.problem(err)
		}
		return revoked
	}
	return nil
}

// revocable reports whether there is a place to revoke the grant at.
func (t *Tokens) revocable(g *records.Grant, config []byte) bool {
	def, err := t.connectorOf(g)
	if err != nil {
		return false
	}
	urls, err := def.OAuthEndpoints(config)
	return err == nil && urls.Revocation != ""
}

// depart takes the grant's use away, and begins to revoke it. Its timer is set
// before, so that a refresher goes on where this process ends.
func (t *Tokens) depart(ctx context.Context, g *records.Grant, account string, config []byte) (revoked <-chan struct{}, err error) {
	if def, err := t.connectorOf(g); err != nil || !def.Auth.OAuth2.NeedsConfig() {
		config = nil
	}
	if err := t.Grants.MarkUnused(g, account, config); err != nil {
		return nil, err
	}
	g.RetryAt = t.opts.Now().Add(t.opts.CallTimeout + 10*time.Second).UTC()
	if err := t.Queue.ScheduleRefresh(ctx, g.Key(), g.RetryAt); err != nil {
		t.problem(err) // the sweep finds it
	}
	if err := t.Grants.Save(ctx, g); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	t.running.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CallTimeout+10*time.Second)
		defer cancel()
		if err := t.Revoke(ctx, g); err != nil {
			t.problem(err)
		}
	})
	return done, nil
}
