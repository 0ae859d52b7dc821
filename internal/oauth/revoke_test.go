package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// revoker is a provider whose revocation endpoint responds with given statuses; 0 is no
// response.
type revoker struct {
	*http.ServeMux
	mu      sync.Mutex
	answers []int // statuses, in order; then 200; 0 hangs until the client gives up
	tokens  []string
}

func newRevoker(answers ...int) *revoker {
	r := &revoker{http.NewServeMux(), sync.Mutex{}, answers, nil}
	r.HandleFunc("POST /revoke", r.revoke)
	return r
}

func (v *revoker) revoke(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	status := http.StatusOK
	if len(v.answers) > 0 {
		status, v.answers = v.answers[0], v.answers[1:]
	}
	v.tokens = append(v.tokens, r.FormValue("token"))
	v.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

func (v *revoker) seen() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.tokens)
}

// revoked expects the tokens that were revoked.
func (v *revoker) revoked(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, v.seen()); diff != "" {
		t.Errorf("what was revoked (-want +got):\n%s", diff)
	}
}

const onGone = "/scopes/organization/acme/connections/gone"

// disconnects disconnects and expects the connection to be removed at once.
func (in *installation) disconnects(t *testing.T) (took time.Duration) {
	t.Helper()
	began := time.Now()
	if status, problem := in.call(http.MethodDelete, onGone, nil, nil); status != http.StatusNoContent {
		t.Errorf("disconnect: got %d %v, want 204", status, &problem)
	}
	took = time.Since(began)
	if status, _ := in.call(http.MethodGet, onGone, nil, nil); status != http.StatusNotFound {
		t.Errorf("after it: got %d, want 404", status)
	}
	if kinds := in.kinds(); !slices.Contains(kinds, "connector.disconnected") {
		t.Errorf("events: got %v, want connector.disconnected", kinds)
	}
	return took
}

func (in *installation) deleted(grant string) bool {
	_, err := in.front.Grants.Latest(in.t.Context(), grant)
	return errors.Is(err, records.ErrNotFound)
}

// failures returns the data of oauth.failed.
func (in *installation) failures() []events.Data { return in.eventsOf(events.OAuthFailed) }

func TestAFailedRevocationIsRetried(t *testing.T) {
	t.Parallel()
	provider := newRevoker(500, 500)
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), nil))
	grant := in.storeExpired(t, "gone")
	in.disconnects(t)
	g := in.grant(grant)
	if g.State != records.GrantUnused || len(g.References) != 0 {
		t.Errorf("the grant is %s with %v, want one that is unused, without connections", g.State, g.References)
	}
	if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthRefreshFailed}) {
		t.Errorf("a token of it: got %v, want CONNECTOR_OAUTH_REFRESH_FAILED", err)
	}
	in.runRefresher(t)
	testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(grant) })
	provider.revoked(t, "old-refresh", "old-refresh", "old-refresh")
	if got := in.failures(); len(got) > 0 {
		t.Errorf("got %+v, want no failure: it was revoked in the end", got)
	}
}

func TestARefusedRevocationIsPublishedAndTheGrantDeleted(t *testing.T) {
	t.Parallel()
	provider := newRevoker(401, 400) // the first secret is not the client's any more
	in := install(t, nil, oauthConnector("gone", newServer(t, provider), nil))
	in.setApp("gone", records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New("new"), secret.New("old")}})
	grant := in.storeExpired(t, "gone")
	in.disconnects(t)
	if !in.deleted(grant) || len(provider.seen()) != 2 {
		t.Errorf("deleted %t after %d tries, want one try with each secret, and no more", in.deleted(grant), len(provider.seen()))
	}
	got := in.failures()
	if len(got) != 1 || got[0].Operation != "revoke" || got[0].ErrorCode != "CONNECTOR_OAUTH_TOKEN_FAILED" {
		t.Errorf("got %+v, want one failure of revoke", got)
	}
}

func TestADisconnectDoesNotWaitForASlowProvider(t *testing.T) {
	t.Parallel()
	provider := newRevoker(0)
	in := installWithApp(t, &options{CallTimeout: 5 * time.Second}, oauthConnector("gone", newServer(t, provider), nil))
	grant := in.storeExpired(t, "gone")
	if took := in.disconnects(t); took > 4*time.Second {
		t.Errorf("it took %s while the provider hangs", took)
	}
	in.runRefresher(t)
	testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(grant) })
}

// A rate limit in the provider's own form is no refusal of the revocation.
func TestARevocationRespectsARateLimit(t *testing.T) {
	t.Parallel()
	def := oauthConnector("gone", newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix()))
		w.WriteHeader(http.StatusForbidden)
	})), nil)
	def.RateLimit = &connectors.RateLimit{Statuses: []int{403}, Windows: []connectors.RateWindow{{Reset: "X-Reset", Form: connectors.ExpiryEpoch}}}
	in := installWithApp(t, nil, def)
	grant := in.storeExpired(t, "gone")
	in.disconnects(t)
	testenv.Eventually(t, "the first try to be counted", func() bool { return in.deleted(grant) || in.grant(grant).Revocation.Tries == 1 })
	if in.deleted(grant) {
		t.Fatal("the grant was deleted, want another try")
	}
	if g := in.grant(grant); g.RetryAt.Before(time.Now().Add(9 * time.Minute)) {
		t.Errorf("it is to be asked at %s, want in ten minutes", g.RetryAt)
	}
}

// After a new authorisation of the account the old tokens are not revoked: at many
// providers that would revoke the new ones too.
func TestANewAuthorisationEndsTheRevocation(t *testing.T) {
	t.Parallel()
	provider := newRevoker(500)
	kind := newSlowServer(t, 0)
	in := installWithApp(t, nil, oauthConnector("gone", kind.url, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL = "", newServer(t, provider)+"/revoke"
		o.TokenFields = map[string]string{"account": "access_token"}
	}))
	in.connectWithCode("gone")
	c := in.connection("gone", "")
	in.disconnects(t)
	g := in.grant(c.Grant)
	if g.State != records.GrantUnused {
		t.Fatalf("the grant is %s, want unused", g.State)
	}
	in.connectWithCode("gone")
	must(t, in.front.OAuth.Revoker.Revoke(t.Context(), g)) // a timer that read it before: it must not delete the new one
	in.runRefresher(t)
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), c.Grant, time.Now()))
	testenv.Eventually(t, "the timer to be seen", func() bool {
		due, set := in.timers(t)
		return due == 0 && set == 1
	})
	if now := in.grant(c.Grant); now.State != records.GrantLive || now.Revocation != nil || len(now.References) != 1 {
		t.Errorf("the grant is %s with %v, want live with its connection", now.State, now.References)
	}
}

// The config that the revocation's URL needs is removed with the connection; the grant
// keeps it, sealed, until it is revoked.
func TestARevocationAtAURLOfTheConfigIsRetried(t *testing.T) {
	t.Parallel()
	provider := newRevoker(503)
	server := newServer(t, provider)
	def := oauthConnector("gone", server, func(o *connectors.OAuth2) { o.RevocationURL = server + "/${config.site}" })
	in := installWithApp(t, nil, def)
	key := in.storeExpired(t, "gone")
	var v connection.View
	if status, problem := in.call(http.MethodPatch, onGone, map[string]any{"config": map[string]string{"site": "revoke"}}, &v); status != http.StatusOK {
		t.Fatalf("set the site: got %d %v", status, &problem)
	}
	in.disconnects(t)
	if g := in.grant(key); g.Revocation == nil || len(g.Revocation.Config) < 8 || g.Revocation.Config[:7] != "enc:v1:" || !slices.Contains(g.Sealed, "/leaving/config") {
		t.Errorf("kept %+v, want the config as an envelope", g.Revocation)
	}
	in.runRefresher(t)
	testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(key) })
	if got := provider.seen(); len(got) != 2 {
		t.Errorf("%d tries, want two", len(got))
	}
}

// The process that disconnects may end after it has removed the connection and before it
// releases the grant. The next refresh finds no connection, and the grant is revoked.
func TestAnOrphanedGrantIsRevokedAfterItsNextRefresh(t *testing.T) {
	t.Parallel()
	provider := newRevoker()
	provider.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"new-refresh","expires_in":3600}`))
	})
	in := installWithApp(t, nil, oauthConnector("gone", newServer(t, provider), nil))
	grant := in.storeExpired(t, "gone")
	if _, err := in.front.Service.Disconnect(t.Context(), records.NewRef(acme, "gone", "")); err != nil { // the record only
		t.Fatal(err)
	}
	if _, err := in.front.OAuth.Source.RenewIfDue(t.Context(), in.grant(grant), nil); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the grant to be deleted", func() bool { return in.deleted(grant) })
	provider.revoked(t, "new-refresh")
}

// A disconnect waits for the provider once, however many grants there are.
func TestADisconnectWaitsOnceForAllItsGrants(t *testing.T) {
	t.Parallel()
	w := newWorkspace()
	server := newServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/revoke" {
			_ = r.ParseForm() // so that the server notices when the client gives up
			<-r.Context().Done()
			return
		}
		w.ServeHTTP(rw, r)
	}))
	in := installWithApp(t, &options{CallTimeout: 5 * time.Second}, chat(server))
	c := in.connectChat(t, "")
	began := time.Now()
	must(t, in.front.OAuth.Connections.Disconnect(t.Context(), c.Ref()))
	if took := time.Since(began); took > 3500*time.Millisecond {
		t.Errorf("it took %s while the provider hangs, want two seconds for both grants", took)
	}
}
