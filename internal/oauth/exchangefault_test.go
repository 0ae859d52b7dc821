package oauth_test

import (
	"io"
	"net/http"
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
