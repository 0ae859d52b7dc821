package oauth_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// The main token cannot be renewed, and is good. That the provider refuses to exchange
// it is the companion's misfortune.
func TestARefusedExchangeIsNotTheMainGrants(t *testing.T) {
	t.Parallel()
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("grant_type") == "authorization_code" {
			_, _ = io.WriteString(w, `{"access_token":"main","expires_in":3600}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"access_denied"}`)
	}))
	in := install(t, nil, oauthConnector("drive", server, func(o *connectors.OAuth2) {
		o.UserInfoURL = ""
		o.Companions = map[string]connectors.Companion{"files": {Exchange: byAudience}}
	}))
	in.setApp("drive", demoApp)
	in.connectBlindly("drive")
	c, err := in.front.service.Latest(t.Context(), connection.NewRef(acme, "drive", ""))
	must(t, err)
	if _, err := in.front.tokens.Fresh(t.Context(), c.Companions["files"]); err == nil {
		t.Error("got a token that was refused")
	}
	if g := in.grant(c.Grant); g.State != connection.GrantLive {
		t.Errorf("the main grant is %s, want live", g.State)
	}
	if g := in.grant(c.Companions["files"]); g.State != connection.GrantDead {
		t.Errorf("the companion is %s, want needs_reauth", g.State)
	}
	_, err = in.front.tokens.Fresh(t.Context(), c.Grant)
	must(t, err)
}

// brittle is a provider that takes a trade by GET and breaks the kept connection before
// it answers.
type brittle struct {
	trades atomic.Int64
	form   atomic.Value // of the last trade: how it came
}

func (b *brittle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		_, _ = io.WriteString(w, `{"access_token":"short","user_id":"u1","expires_in":3600}`)
		return
	}
	b.form.Store(fmt.Sprint(r.ContentLength, r.TransferEncoding, r.Header["Content-Type"], r.Header["Content-Length"]))
	if n := b.trades.Add(1); n == 2 {
		panic(http.ErrAbortHandler)
	} else if n > 2 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token":"long","expires_in":5184000}`)
}

// net/http sends a GET again by itself. One that spends a token must not be.
func TestATradeByGetIsSentOnce(t *testing.T) {
	t.Parallel()
	provider := &brittle{}
	server := newServer(t, provider)
	in := install(t, nil, oauthConnector("photos", server, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL, o.TokenFields = "", "", map[string]string{"account": "user_id"}
		trade := &connectors.Exchange{Method: http.MethodGet, TokenParam: "access_token"}
		o.Exchange, o.Renewal = trade, trade
	}))
	in.setApp("photos", demoApp)
	in.connectBlindly("photos")
	if got, want := provider.form.Load(), fmt.Sprint(int64(0), []string(nil), []string(nil), []string(nil)); got != want {
		t.Errorf("a trade came with %q, want no body, and no header of one (%q)", got, want)
	}
	c, err := in.front.service.Latest(t.Context(), connection.NewRef(acme, "photos", ""))
	must(t, err)
	if _, err := in.front.tokens.Now(t.Context(), c.Grant); err == nil {
		t.Error("got a token from a broken connection")
	}
	if n, g := provider.trades.Load(), in.grant(c.Grant); n != 2 || g.State != connection.GrantLive {
		t.Errorf("%d trades reached the provider and the grant is %s, want two and live", n, g.State)
	}
}
