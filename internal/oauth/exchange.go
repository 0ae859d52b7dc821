package oauth

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// trade shows a token and asks for another. x/oauth2's client credentials are a form
// with the client's authentication, and whatever else it is given.
func (e endpoint) trade(ctx context.Context, how *connectors.Exchange, token secret.Text) (reply, *failure) {
	def, o := *e.def, *e.def.Auth.OAuth2
	if how.TokenFields != nil {
		o.TokenFields = how.TokenFields
	}
	if how.Method == http.MethodGet || len(how.Omit) > 0 {
		o.TokenBody = connectors.TokenBodyForm // for asking to rewrite
	}
	def.Auth.OAuth2 = &o
	e.def, e.http = &def, &http.Client{Transport: asking{e.http.Transport, how, &o}, CheckRedirect: e.http.CheckRedirect}
	return e.withEachSecret(ctx, func(ctx context.Context, c credential) error {
		params, subject := how.FormParams()
		form := url.Values{subject: {token.Reveal()}}
		for name, value := range params {
			form.Set(name, value)
		}
		config := clientcredentials.Config{ClientID: c.id, ClientSecret: c.plain(), TokenURL: e.url, AuthStyle: e.style(), EndpointParams: form}
		_, err := config.Token(ctx)
		return err
	})
}

// asking is the transport that gives a trade its method, and leaves out what the
// provider does not want.
type asking struct {
	base http.RoundTripper
	how  *connectors.Exchange
	o    *connectors.OAuth2
}

// RoundTrip implements http.RoundTripper.
func (a asking) RoundTrip(req *http.Request) (*http.Response, error) {
	base := a.base
	if base == nil {
		base = http.DefaultTransport
	}
	if a.how.Method != http.MethodGet && len(a.how.Omit) == 0 {
		return base.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	for _, name := range a.how.Omit {
		form.Del(a.o.ParamName(name))
	}
	if slices.Contains(a.how.Omit, "client_secret") {
		req.Header.Del("Authorization")
	}
	content := form.Encode()
	if a.how.Method == http.MethodGet {
		query := req.URL.Query()
		for name := range form {
			query.Set(name, form.Get(name))
		}
		req.Method, req.URL.RawQuery, content = http.MethodGet, query.Encode(), ""
		req.Header.Del("Content-Type")
	}
	req.Body, req.ContentLength, req.GetBody = io.NopCloser(strings.NewReader(content)), int64(len(content)), nil
	switch {
	case a.how.Method == http.MethodGet:
		// A GET without a body is sent again where a connection breaks, and a second
		// one could be shown a token that the first has ended. This one has a body, of
		// no bytes and no encoding, that cannot be had twice.
		req.TransferEncoding = []string{"identity"}
	case content == "":
		req.Body = http.NoBody
	}
	return base.RoundTrip(req)
}

// tradeUp trades the token that the code gave for the one that is kept, where the
// provider has it so. What only the first reply tells stays.
func (a *arrival) tradeUp(ctx context.Context) error {
	how := a.def.Auth.OAuth2.Exchange
	if how == nil {
		return nil
	}
	got, failed := a.endpoint(a.def, a.urls.Exchange, a.config, a.app).trade(ctx, how, a.got.Access)
	if failed != nil {
		return failed.coded()
	}
	first := a.got
	if got.Refresh.IsZero() {
		got.Refresh, got.RefreshExpires = first.Refresh, first.RefreshExpires
	}
	if got.Scopes == nil {
		got.Scopes = first.Scopes
	}
	if got.Account == "" {
		got.Account = first.Account
	}
	got.document, a.got = first.document, got
	return nil
}

// fromMain has a companion's token for the main grant's. A main token that is refused
// may have been taken back before its time, so it is renewed once: where it can be, as
// asking for more of one that cannot would end the main grant for its companion's sake.
// The main grant's renewal takes its turn; the trade takes mine.
func (t *Tokens) fromMain(ctx context.Context, e endpoint, g *records.Grant, how *connectors.Exchange, turn, mine Turn) (reply, *failure, error) {
	if how.ExchangesRefreshToken() {
		return t.spendMain(ctx, e, g, how, turn, mine)
	}
	main, err := t.token(ctx, g.MainGrant, need{turn: turn})
	if err != nil {
		return reply{}, nil, err
	}
	got, failed, err := e.tradeIn(ctx, mine, how, main.Access)
	if failed != nil && failed.verdict == denied && t.hasNewer(ctx, g.MainGrant, main.Generation) {
		if main, err = t.token(ctx, g.MainGrant, need{after: main.Generation, turn: turn}); err != nil {
			return reply{}, nil, err
		}
		got, failed, err = e.tradeIn(ctx, mine, how, main.Access)
	}
	return got, failed, err
}

// tradeIn is trade in its turn.
func (e endpoint) tradeIn(ctx context.Context, turn Turn, how *connectors.Exchange, token secret.Text) (reply, *failure, error) {
	done, err := turn(ctx)
	if err != nil {
		return reply{}, nil, err
	}
	defer done()
	got, failed := e.trade(ctx, how, token)
	return got, failed, nil
}

// hasNewer reports whether there is, or can be, a token of a later generation.
func (t *Tokens) hasNewer(ctx context.Context, grant string, generation uint64) bool {
	g, err := t.Grants.Latest(ctx, grant)
	return err == nil && (g.Generation > generation || renewable(g))
}

// spendMain has a companion's token for the main grant's refresh token, which that
// spends like a refresh: under the main grant's lease, and between an intent and an
// outcome in its record. A companion's lease is held around it; nobody who holds a
// main grant's waits for a companion's.
func (t *Tokens) spendMain(ctx context.Context, e endpoint, g *records.Grant, how *connectors.Exchange, turn, mine Turn) (reply, *failure, error) {
	holder := events.NewID()
	for ctx.Err() == nil {
		lease, err := t.Leases.Acquire(ctx, g.MainGrant, holder, t.leaseTTL())
		if err != nil {
			return reply{}, nil, err
		}
		if lease == nil {
			pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond))
			continue
		}
		got, failed, err := t.spendUnder(ctx, lease, holder, e, g, how, mine)
		t.Leases.Release(context.WithoutCancel(ctx), lease)
		if lost, ok := errors.AsType[lostRotation](err); ok {
			if _, err = t.token(ctx, g.MainGrant, need{after: lost.generation, turn: turn}); err == nil {
				continue
			}
		}
		if !errors.Is(err, errAgain) || errors.Is(err, errNoTurn) {
			return got, failed, err
		}
	}
	return reply{}, nil, errAgain
}

// lostRotation is that a rotation of the main grant may be lost, by whoever was to make
// the generation after this. The grant's own renewal knows what to do.
type lostRotation struct{ generation uint64 }

func (lostRotation) Error() string { return "oauth: a rotation of the main grant may be lost" }

func (t *Tokens) spendUnder(ctx context.Context, lease *records.Lease, holder string, e endpoint, g *records.Grant, how *connectors.Exchange, turn Turn) (reply, *failure, error) {
	main, err := t.Grants.Latest(ctx, g.MainGrant)
	switch {
	case err != nil:
		return reply{}, nil, missingGrant(err)
	case main.State == records.GrantUnused:
		return reply{}, nil, missingGrant(records.ErrNotFound)
	case main.State == records.GrantRevoked:
		return reply{}, nil, deadError(main)
	case main.RefreshToken == "":
		return reply{}, nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed,
			"the provider gave no refresh token to %s, which its token %q is had for; connect it again", g.Connector, g.Companion)
	case main.Intent != nil:
		return reply{}, nil, lostRotation{main.Generation}
	}
	opened, err := t.Grants.Open(main)
	if err != nil {
		return reply{}, nil, err
	}
	got, failed, err := t.announced(ctx, lease, holder, e, main, opened.Refresh, how, turn)
	if err != nil {
		return reply{}, nil, err
	}
	if failed != nil && failed.lost {
		return got, failed, nil // the intent stays, and tells
	}
	if err := t.keepSuccessor(ctx, main, opened, got, e.config); err != nil {
		return reply{}, nil, err
	}
	got.Refresh, got.RefreshExpires = secret.Text{}, time.Time{} // it is the main grant's
	return got, failed, nil
}

// announced trades the main refresh token, after an intent in its grant. The turn comes
// before that: who gets none has announced nothing.
func (t *Tokens) announced(ctx context.Context, lease *records.Lease, holder string, e endpoint, main *records.Grant, refresh secret.Text, how *connectors.Exchange, turn Turn) (reply, *failure, error) {
	done, err := turn(ctx)
	if err != nil {
		return reply{}, nil, err
	}
	defer done()
	main.Intent = &records.Intent{Generation: main.Generation + 1, Holder: holder, At: t.opts.Now().UTC()}
	if err := t.Grants.Save(ctx, main); errors.Is(err, records.ErrConflict) {
		return reply{}, nil, errAgain
	} else if err != nil {
		return reply{}, nil, storeError(err)
	}
	own := e.before
	e.before = func() error {
		if wall(time.Now()).Add(e.limit).After(wall(lease.Until)) {
			return errHeldBack
		}
		return own()
	}
	got, failed := e.trade(ctx, how, refresh)
	return got, failed, nil
}
