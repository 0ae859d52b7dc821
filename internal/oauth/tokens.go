package oauth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Parts are what tokens are kept alive with. All but Registry are required.
type Parts struct {
	Queue       *queue.Queue
	Service     *connection.Service
	Definitions *records.Definitions
	Grants      *records.Grants
	Leases      *records.Leases
	Apps        *records.Apps
	HTTP        *http.Client // for providers, see internal/safehttp
	// Registry has the code of connectors that parse token replies themselves.
	Registry *connectors.Registry
	// Key signs states and reconnect links, the same in every process.
	Key secret.Text
}

// Options of [Tokens] and [Flow]. Zero fields mean the default.
type Options struct {
	BaseURL string // public, with the base path, without a slash at the end
	// ReturnURLs are the URLs below which browsers may be sent after a flow,
	// besides the base URL's own origin.
	ReturnURLs []string
	// CallTimeout bounds one call of a token endpoint. Default 20 s.
	CallTimeout time.Duration
	Metrics     prometheus.Registerer // default: none
	Log         zerolog.Logger
	Now         func() time.Time
}

func (o *Options) withDefaults() Options {
	out := Options{}
	if o != nil {
		out = *o
	}
	if out.CallTimeout == 0 {
		out.CallTimeout = 20 * time.Second
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	return out
}

// Tokens is the one way to a fresh token. Safe for concurrent use, in any number
// of processes.
type Tokens struct {
	Parts
	opts      Options
	flights   singleflight.Group // grant key → the refresh under way in this process
	running   sync.WaitGroup     // refreshes, which outlive who asked for them
	refreshes *prometheus.CounterVec
}

// NewTokens returns the tokens of parts.
func NewTokens(parts Parts, opts *Options) *Tokens {
	t := &Tokens{Parts: parts, opts: opts.withDefaults(), refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hawser_oauth_refreshes_total", Help: "Calls of token endpoints for a refresh, by connector and outcome.",
	}, []string{"connector", "outcome"})}
	if t.opts.Metrics != nil {
		t.opts.Metrics.MustRegister(t.refreshes)
	}
	return t
}

// Token is an access token in use.
type Token struct {
	Access     secret.Text
	Generation uint64
	ExpiresAt  time.Time // zero: never
}

// need is what a caller wants of a grant's token.
type need struct {
	after uint64 // a newer one than this generation
	early bool   // not yet due for renewal, rather than just not expired
	now   bool   // do not wait for the end of a backoff
	// known is the grant as the caller has just read it from the leader, so that it
	// need not be read again; nil if he has not.
	known *records.Grant
	// turn, if there is one, is waited for before the provider is called.
	turn Turn
}

// Turn waits for the right to call a provider, and returns what gives it back; an
// error if ctx ended first.
type Turn func(ctx context.Context) (done func(), err error)

// Fresh returns a token that is good for a while yet, and renews it if there is
// need. CONNECTOR_OAUTH_REFRESH_FAILED: the grant is dead for good;
// CONNECTOR_OAUTH_TOKEN_FAILED: not now, see RetryAfter. When ctx ends, a renewal
// that has begun goes on without the caller.
func (t *Tokens) Fresh(ctx context.Context, grant string) (Token, error) {
	return t.token(ctx, grant, need{})
}

// Renew returns a token of a later generation than the given: what somebody else
// has renewed since, or else renews it.
func (t *Tokens) Renew(ctx context.Context, grant string, generation uint64) (Token, error) {
	return t.token(ctx, grant, need{after: generation})
}

// Now renews the token, whatever its age, and returns the grant.
func (t *Tokens) Now(ctx context.Context, grant string) (*records.Grant, error) {
	g, err := t.Grants.Latest(ctx, grant)
	if err != nil {
		return nil, missingGrant(err)
	}
	return t.satisfy(ctx, grant, need{after: g.Generation, now: true})
}

// Ahead renews the token if its time has come, before it expires. The grant is one
// that was just read from the leader. turn, unless it is nil, is held for as long
// as the provider is being called: what is written before and after the call keeps
// nobody else from calling.
func (t *Tokens) Ahead(ctx context.Context, g *records.Grant, turn Turn) (*records.Grant, error) {
	return t.satisfy(ctx, g.Key(), need{early: true, known: g, turn: turn})
}

func (t *Tokens) token(ctx context.Context, key string, n need) (Token, error) {
	g, err := t.satisfy(ctx, key, n)
	if err != nil {
		return Token{}, err
	}
	opened, err := t.Grants.Open(g)
	if err != nil {
		return Token{}, err
	}
	return Token{opened.Access, g.Generation, g.ExpiresAt}, nil
}

// satisfy returns a grant with a token as needed.
func (t *Tokens) satisfy(ctx context.Context, key string, n need) (*records.Grant, error) {
	g := n.known
	if g == nil {
		var err error
		if g, err = t.Grants.Get(ctx, key); err != nil {
			return nil, missingGrant(err)
		}
	}
	// A flight that was under way may have wanted less than we do.
	for tries := 0; tries < 4; tries++ {
		if n.satisfiedBy(g, t.opts.Now()) {
			return g, nil
		}
		flight := t.flights.DoChan(key, func() (any, error) {
			t.running.Add(1)
			defer t.running.Done()
			work, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*t.leaseTTL())
			defer cancel()
			return t.renew(work, key, n)
		})
		select {
		case result := <-flight:
			if result.Err != nil {
				return nil, result.Err
			}
			g = result.Val.(*records.Grant)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the token of %s could not be renewed in time; try again", g.Connector)
}

// Drain waits for the renewals that run, until ctx ends.
func (t *Tokens) Drain(ctx context.Context) {
	done := make(chan struct{})
	go func() { t.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (n need) satisfiedBy(g *records.Grant, now time.Time) bool {
	if g.State != records.GrantLive || g.AccessToken == "" || g.Generation <= n.after {
		return false
	}
	if n.early {
		return !due(g, now)
	}
	return !expired(g, now)
}

func missingGrant(err error) error {
	if errors.Is(err, records.ErrNotFound) {
		return connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "the connection has no grant any more; connect it again")
	}
	return err
}

// leaseTTL is longer than the call that it covers.
func (t *Tokens) leaseTTL() time.Duration {
	return max((t.opts.CallTimeout + min(10*time.Second, t.opts.CallTimeout)).Round(time.Second), 2*time.Second)
}
