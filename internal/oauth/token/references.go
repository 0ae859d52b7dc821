package token

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
)

// References keeps track of which connections use a grant. A grant names its
// connections, and a connection its grants; a reference that no connection names is an
// orphan. The grant that loses its last reference is revoked.
type References struct {
	grants      *records.Grants
	connections *connection.Service
	revoker     *Revoker
	background  *sync.WaitGroup
	opts        Options
}

// each calls f with the connections that share the grant, and returns the orphans.
func (r *References) each(ctx context.Context, g *records.Grant, f func(*records.Connection)) (orphans []records.GrantReference) {
	for _, ref := range g.References {
		c, err := r.connections.LatestByKey(ctx, ref.Connection)
		switch {
		case errors.Is(err, errNotConnected), err == nil && !c.HasReference(g, ref):
			orphans = append(orphans, ref)
		case err != nil:
			r.opts.Warn(err)
		default:
			f(c)
		}
	}
	return orphans
}

// held are the references of one connection to its grants.
type held struct {
	grants     []string // keys
	connection records.Ref
	reference  string
	config     []byte // of the connection, nil if unknown; the revocation's URL may need it
}

// Release removes the references of a connection that was removed or replaced; nil is
// none.
func (r *References) Release(ctx context.Context, c *records.Connection) {
	if c == nil || c.Grant == "" {
		return
	}
	config, err := r.connections.ConfigOf(c)
	if err != nil {
		config = nil
	}
	r.releaseAll(ctx, held{append(slices.Collect(maps.Values(c.Companions)), c.Grant), c.Ref(), c.GrantReference, config})
}

// ReleaseUnstored removes the references of a connection that could not be stored. A
// connection that may be stored after all keeps them: a later refresh finds out.
func (r *References) ReleaseUnstored(ctx context.Context, failure error, ref records.Ref, in connection.AuthorizeInput, config []byte) {
	if errors.Is(failure, records.ErrUnavailable) {
		return
	}
	r.releaseAll(ctx, held{append(slices.Collect(maps.Values(in.Companions)), in.Grant), ref, in.GrantReference, config})
}

// revokeWait is how long a disconnect waits for the provider, so that its grants are
// usually revoked when it returns.
const revokeWait = 2 * time.Second

// releaseAll removes the references, and waits up to revokeWait for the revocations.
func (r *References) releaseAll(ctx context.Context, h held) {
	var revoked []<-chan struct{}
	for _, grant := range h.grants {
		if done := r.release(ctx, grant, h); done != nil {
			revoked = append(revoked, done)
		}
	}
	timer := time.NewTimer(revokeWait)
	defer timer.Stop()
	for _, done := range revoked {
		select {
		case <-done:
		case <-timer.C:
			return
		}
	}
}

// release removes one reference, which no connection names or will name. A grant that
// has none left is revoked in the background, and revoked is closed after the first try;
// it is nil if there is nothing to revoke.
func (r *References) release(ctx context.Context, grant string, h held) (revoked <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.CallTimeout)
	defer cancel()
	for range 16 {
		g, err := r.grants.Latest(ctx, grant)
		if errors.Is(err, records.ErrNotFound) {
			return nil
		}
		if err != nil {
			r.opts.Warn(err)
			return nil
		}
		if g.State == records.GrantUnused || !g.RemoveReference(h.connection.Key(), h.reference) {
			return nil
		}
		switch {
		case len(g.References) > 0:
			err = r.grants.Save(ctx, g)
		case g.State == records.GrantLive && g.AccessToken+g.RefreshToken != "" && r.revoker.canRevoke(g, h.config):
			revoked, err = r.revoker.begin(ctx, g, h.connection.Account, h.config)
		default:
			err = r.grants.Delete(ctx, g)
		}
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			r.opts.Warn(err)
		}
		return revoked
	}
	return nil
}

// orphanAge is an age from which on a reference without a connection is an orphan: long
// after the end of any callback that stores a connection.
const orphanAge = 10 * time.Minute

// ReleaseOrphans removes the orphans of a grant that no renewal visits, since a renewal
// removes them too: a revoked grant, one whose token never expires or cannot be renewed,
// and a companion's, whose main grant may be gone.
func (r *References) ReleaseOrphans(ctx context.Context, g *records.Grant) {
	renewed := g.State == records.GrantLive && renewable(g) && !g.ExpiresAt.IsZero() && g.MainGrant == ""
	old := slices.ContainsFunc(g.References, func(ref records.GrantReference) bool { return r.opts.Now().Sub(ref.Since) >= orphanAge })
	if g.State == records.GrantUnused || renewed || !old {
		return
	}
	r.releaseOrphans(ctx, g.Key(), r.each(ctx, g, func(*records.Connection) {}))
}

// releaseInBackground removes orphans that were found during other work.
func (r *References) releaseInBackground(ctx context.Context, grant string, orphans []records.GrantReference) {
	if len(orphans) > 0 {
		r.background.Go(func() { r.releaseOrphans(context.WithoutCancel(ctx), grant, orphans) })
	}
}

// releaseOrphans removes references that no connection names: the process that
// disconnected the connection, or gave it another grant, ended before it did.
func (r *References) releaseOrphans(ctx context.Context, grant string, orphans []records.GrantReference) {
	for _, orphan := range orphans {
		if r.opts.Now().Sub(orphan.Since) < orphanAge {
			continue
		}
		ref, err := records.ParseKey(orphan.Connection)
		if err != nil {
			r.opts.Warn(err)
			continue
		}
		r.release(ctx, grant, held{connection: ref, reference: orphan.ID})
	}
}
