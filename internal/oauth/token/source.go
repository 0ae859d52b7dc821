package token

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Source returns fresh tokens. Safe for concurrent use, in any number of processes.
type Source struct {
	grants     *records.Grants
	renewer    *renewer
	renewals   singleflight.Group // by grant key
	background *sync.WaitGroup
	opts       Options
}

func newSource(grants *records.Grants, r *renewer) *Source {
	s := &Source{grants: grants, renewer: r, background: r.background, opts: r.opts}
	r.mainToken = s.token
	return s
}

// Token is an access token in use.
type Token struct {
	Access     secret.Text
	Generation uint64
	ExpiresAt  time.Time // zero: never
}

// AcquireSlot waits for the right to call a provider, and returns the function that
// gives it back. It fails only when ctx ends first.
type AcquireSlot func(ctx context.Context) (release func(), err error)

// requirement is what a caller requires of a grant's token.
type requirement struct {
	after     uint64 // a newer generation than this
	notDue    bool   // not yet due for renewal, rather than just not expired
	noBackoff bool   // call the provider even during a backoff
	// current is the grant as the caller has just read it from the leader, so that it
	// need not be read again; nil if he has not.
	current *records.Grant
	slot    AcquireSlot // held during calls of the provider; nil: none is needed
}

// Fresh returns a token that does not expire soon, and renews it if need be.
// CONNECTOR_OAUTH_REFRESH_FAILED: the user has to authorise again;
// CONNECTOR_OAUTH_TOKEN_FAILED: try again after RetryAfter. When ctx ends, a renewal that
// has begun continues without the caller.
func (s *Source) Fresh(ctx context.Context, grant string) (Token, error) {
	return s.token(ctx, grant, requirement{})
}

// Renew returns a token of a later generation than the given one: one that was renewed
// since, or else a new one. Errors are those of Fresh.
func (s *Source) Renew(ctx context.Context, grant string, generation uint64) (Token, error) {
	return s.token(ctx, grant, requirement{after: generation})
}

// RenewNow renews the token, however old it is, and returns the grant.
func (s *Source) RenewNow(ctx context.Context, grant string) (*records.Grant, error) {
	g, err := s.grants.Latest(ctx, grant)
	if err != nil {
		return nil, grantError(err)
	}
	return s.satisfy(ctx, grant, requirement{after: g.Generation, noBackoff: true})
}

// RenewIfDue renews the token if it is due for renewal. g was just read from the leader.
// slot, unless it is nil, is held during calls of the provider only, not during the
// writes before and after them.
func (s *Source) RenewIfDue(ctx context.Context, g *records.Grant, slot AcquireSlot) (*records.Grant, error) {
	return s.satisfy(ctx, g.Key(), requirement{notDue: true, current: g, slot: slot})
}

// WithApp returns a runtime with what the operator's OAuth client is part of, as
// [Source.Transport] adds it to requests.
func (s *Source) WithApp(ctx context.Context, def *connectors.Connector, runtime connectors.Runtime) (connectors.Runtime, error) {
	return s.renewer.servers.withApp(ctx, def, runtime)
}

// Companion returns a companion's token of a connection, as Fresh does.
// CONNECTOR_OAUTH_REFRESH_FAILED with the reason "missing" if the connection has none.
func (s *Source) Companion(ctx context.Context, c *records.Connection, name string) (Token, error) {
	grant := c.Companions[name]
	if grant == "" {
		e := connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the connection to %s has no token %q; connect it again, and grant it", c.Connector, name)
		e.Reason = "missing"
		return Token{}, e
	}
	return s.Fresh(ctx, grant)
}

func (s *Source) token(ctx context.Context, key string, need requirement) (Token, error) {
	g, err := s.satisfy(ctx, key, need)
	if err != nil {
		return Token{}, err
	}
	opened, err := s.grants.Open(g)
	if err != nil {
		return Token{}, err
	}
	return Token{opened.Access, g.Generation, g.ExpiresAt}, nil
}

// satisfy returns a grant whose token satisfies the requirement.
func (s *Source) satisfy(ctx context.Context, key string, need requirement) (*records.Grant, error) {
	g := need.current
	if g == nil {
		var err error
		if g, err = s.grants.Get(ctx, key); err != nil {
			return nil, grantError(err)
		}
	}
	// A renewal under way may have had a lesser requirement than this one.
	for tries := 0; tries < 4; tries++ {
		if need.satisfiedBy(g, s.opts.Now()) {
			return g, nil
		}
		result := s.renewals.DoChan(key, func() (any, error) {
			s.background.Add(1)
			defer s.background.Done()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*s.renewer.leaseTTL())
			defer cancel()
			return s.renewer.renew(ctx, key, need)
		})
		select {
		case renewed := <-result:
			if renewed.Err != nil {
				return nil, renewed.Err
			}
			g = renewed.Val.(*records.Grant)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the token of %s could not be renewed in time; try again", g.Connector)
}

func (need requirement) satisfiedBy(g *records.Grant, now time.Time) bool {
	if g.State != records.GrantLive || g.AccessToken == "" || g.Generation <= need.after {
		return false
	}
	if need.notDue {
		return !due(g, now)
	}
	return !expired(g, now)
}

// errNoGrant returns the error of a connection whose grant was removed.
func errNoGrant() error {
	return connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the connection has no grant any more; connect it again")
}

// grantError returns the error of a read of a grant.
func grantError(err error) error {
	if errors.Is(err, records.ErrNotFound) {
		return errNoGrant()
	}
	return err
}
