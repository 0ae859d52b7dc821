package oauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// The main token cannot be renewed, and is valid. A refused exchange fails the companion
// only.
func TestARefusedExchangeKeepsTheMainGrantLive(t *testing.T) {
	t.Parallel()
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") == "authorization_code" {
			_, _ = io.WriteString(w, `{"access_token":"main","expires_in":3600}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"access_denied"}`)
	}))
	in := installWithApp(t, nil, oauthConnector("drive", server, func(o *connectors.OAuth2) {
		o.UserInfoURL = ""
		o.Companions = map[string]connectors.Companion{"files": {Exchange: byAudience}}
	}))
	in.connectWithCode("drive")
	c := in.connection("drive", "")
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), c.Companions["files"]); err == nil {
		t.Error("got a token that was refused")
	}
	if g := in.grant(c.Grant); g.State != records.GrantLive {
		t.Errorf("the main grant is %s, want live", g.State)
	}
	if g := in.grant(c.Companions["files"]); g.State != records.GrantRevoked {
		t.Errorf("the companion is %s, want needs_reauth", g.State)
	}
	_, err := in.front.OAuth.Source.Fresh(t.Context(), c.Grant)
	must(t, err)
}

// brittle is a provider that receives an exchange by GET and closes the kept connection
// before it responds.
type brittle struct {
	exchanges atomic.Int64
	form      atomic.Value // of the last exchange
}

func (b *brittle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		_, _ = io.WriteString(w, `{"access_token":"short","user_id":"u1","expires_in":3600}`)
		return
	}
	b.form.Store(fmt.Sprint(r.ContentLength, r.TransferEncoding, r.Header["Content-Type"], r.Header["Content-Length"]))
	if n := b.exchanges.Add(1); n == 2 {
		panic(http.ErrAbortHandler)
	} else if n > 2 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token":"long","expires_in":5184000}`)
}

// net/http repeats a GET by itself. One that spends a token must not be repeated.
func TestAnExchangeByGETIsSentOnce(t *testing.T) {
	t.Parallel()
	provider := &brittle{}
	server := newServer(t, provider)
	in := installWithApp(t, nil, oauthConnector("photos", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL, o.TokenFields = "", "", map[string]string{"account": "user_id"}
		exchange := &connectors.Exchange{Method: http.MethodGet, TokenParam: "access_token"}
		o.Exchange, o.Renewal = exchange, exchange
	}))
	in.connectWithCode("photos")
	if got, want := provider.form.Load(), fmt.Sprint(int64(0), []string(nil), []string(nil), []string(nil)); got != want {
		t.Errorf("an exchange came with %q, want no body, and no header of one (%q)", got, want)
	}
	c := in.connection("photos", "")
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), c.Grant); err == nil {
		t.Error("got a token from a broken connection")
	}
	if n, g := provider.exchanges.Load(), in.grant(c.Grant); n != 2 || g.State != records.GrantLive {
		t.Errorf("%d exchanges reached the provider and the grant is %s, want two and live", n, g.State)
	}
}

// ways are the two requests that spend the main refresh token.
var ways = map[string]func(*installation, *records.Connection) error{
	"by a refresh": func(in *installation, c *records.Connection) error {
		_, err := in.front.OAuth.Source.RenewNow(in.t.Context(), c.Grant)
		return err
	},
	"for a companion": func(in *installation, c *records.Connection) error {
		_, err := in.front.OAuth.Source.Fresh(in.t.Context(), c.Companions["files"])
		return err
	},
}

// whileSpent spends the main refresh token in each way, and runs meanwhile during the
// request.
func whileSpent(t *testing.T, meanwhile func(*installation, *records.Connection), afterwards func(t *testing.T, in *installation, c *records.Connection, a *audiences, err error)) {
	t.Helper()
	for name, spend := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, a, c, _ := withFiles(t, byScope)
			a.during.Store(new(func() { meanwhile(in, c) }))
			afterwards(t, in, c, a, spend(in, c))
		})
	}
}

func TestASuccessorForARemovedGrantIsRevoked(t *testing.T) {
	t.Parallel()
	whileSpent(t, func(in *installation, c *records.Connection) {
		if err := in.front.OAuth.Connections.Disconnect(in.t.Context(), c.Ref()); err != nil {
			in.t.Error(err)
		}
	}, func(t *testing.T, _ *installation, _ *records.Connection, a *audiences, err error) {
		if got := a.requests(); err == nil || len(got) != 4 || got[1] != "revoked refresh-1" || got[3] != "revoked refresh-2" {
			t.Errorf("got %v; the provider was asked %v, want that it takes back both refresh tokens", err, got)
		}
	})
}

// Another process found the refresh token spent and marked the grant as revoked before
// the successor was stored.
func TestASuccessorReactivatesAGrantThatWasMarkedRevoked(t *testing.T) {
	t.Parallel()
	whileSpent(t, func(in *installation, c *records.Connection) {
		g := in.grant(c.Grant)
		g.State, g.Intent = records.GrantRevoked, nil
		if err := in.front.Grants.Save(in.t.Context(), g); err != nil {
			in.t.Error(err)
		}
		if err := in.front.Service.MarkNeedsReauth(in.t.Context(), c.Ref(), c.Grant, func(*records.Connection) events.Data { return events.Data{} }); err != nil {
			in.t.Error(err)
		}
	}, func(t *testing.T, in *installation, c *records.Connection, _ *audiences, err error) {
		must(t, err)
		now, err := in.front.Service.Latest(t.Context(), c.Ref())
		must(t, err)
		if now.State != records.Active {
			t.Errorf("the connection is %s, want active", now.State)
		}
		_, err = in.front.OAuth.Source.RenewNow(t.Context(), c.Grant)
		must(t, err)
	})
}

// The response to a new authorisation held no refresh token, so the grant has kept the
// one that is being spent.
func TestASuccessorReplacesTheSpentTokenInANewAuthorisation(t *testing.T) {
	t.Parallel()
	whileSpent(t, func(in *installation, c *records.Connection) {
		g := in.grant(c.Grant)
		old, err := in.front.Grants.Open(g)
		if err != nil {
			in.t.Error(err)
		}
		g.Generation, g.Intent = g.Generation+5, nil
		if err := in.front.Grants.Seal(g, records.GrantTokens{Access: secret.New("authorised"), Refresh: old.Refresh}); err != nil {
			in.t.Error(err)
		}
		if err := in.front.Grants.Save(in.t.Context(), g); err != nil {
			in.t.Error(err)
		}
	}, func(t *testing.T, in *installation, c *records.Connection, _ *audiences, err error) {
		must(t, err)
		g := in.grant(c.Grant)
		if tokens, err := in.front.Grants.Open(g); err != nil || tokens.Access.Reveal() != "authorised" || tokens.Refresh.Reveal() != "refresh-2" {
			t.Errorf("the grant has not the token of the authorisation, and the successor of the spent one (%v)", err)
		}
		_, err = in.front.OAuth.Source.RenewNow(t.Context(), c.Grant)
		must(t, err)
	})
}

// A slot is held for one call. Held during the main grant's renewal it could block that
// renewal.
func TestACompanionHoldsASlotForItsOwnCallOnly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		how  *connectors.Exchange
		want [][]string
	}{
		"by the access token":  {byAudience, [][]string{{"main"}, {"exchanged"}}},
		"by the refresh token": {byScope, [][]string{{"main"}, {"files"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, a, c, _ := withFiles(t, tc.how)
			main := in.expire(c.Grant)
			if tc.how.ExchangesRefreshToken() { // it has to be renewed before its refresh token is spent
				main.Intent = &records.Intent{Generation: 2, Holder: "dead", At: time.Now()}
				must(t, in.front.Grants.Save(t.Context(), main))
			}
			var slots [][]string
			slot := make(chan struct{}, 1)
			acquire := func(ctx context.Context) (func(), error) {
				select {
				case slot <- struct{}{}:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				before := len(a.requests())
				return func() {
					slots = append(slots, a.requests()[before:])
					<-slot
				}, nil
			}
			_, err := in.front.OAuth.Source.RenewIfDue(t.Context(), in.grant(c.Companions["files"]), acquire)
			must(t, err)
			if diff := cmp.Diff(tc.want, slots); diff != "" {
				t.Errorf("requests in each slot (-want +got):\n%s", diff)
			}
		})
	}
}
