package ingress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// as is the header of a new token.
func (s *site) as(t *testing.T, token records.APIToken) (name, value string) {
	t.Helper()
	made, err := s.Tokens.Create(t.Context(), token)
	testenv.Must(t, err)
	return "Authorization", "Bearer " + made.Reveal()
}

func TestATokenFromCreationToRevocation(t *testing.T) {
	t.Parallel()
	s := serve(t)
	other := s.StartIngress(t, nil) // a second ingress
	var made struct {
		Token, Name, Role, Scope, Identity string
		ExpiresAt                          time.Time `json:"expires_at"`
	}
	r := s.do(t, "POST", "/api/v1/tokens", `{"name":"ci","role":"operator","scope":"organization","identity":"bob","expires_in":"90d"}`)
	testenv.Must(t, json.Unmarshal([]byte(r.body), &made))
	if r.status != http.StatusCreated || !strings.HasPrefix(made.Token, "hwt_") || made.Role != "operator" || made.Identity != "bob" ||
		made.ExpiresAt.Sub(time.Now().Add(90*24*time.Hour)).Abs() > time.Minute {
		t.Fatalf("%d %s", r.status, r.body)
	}
	bearer := "Bearer " + made.Token
	for body, path := range map[string]string{
		`{"name":"ci","role":"read"}`:                         "name",
		`{"name":"a b","role":"read"}`:                        "name",
		`{"role":"read"}`:                                     "name",
		`{"name":"x"}`:                                        "role",
		`{"name":"x","role":"root"}`:                          "role",
		`{"name":"x","role":"read","expires_in":"0d"}`:        "expires_in",
		`{"name":"x","role":"read","expires_in":"soon"}`:      "expires_in",
		`{"name":"x","role":"read","expires_in":"99999999d"}`: "expires_in",
		`{"name":"x","role":"read","identity":"bob"}`:         "scope",
	} {
		if r := s.do(t, "POST", "/api/v1/tokens", body); r.status != http.StatusBadRequest || !strings.Contains(r.body, `"path":"`+path+`"`) {
			t.Errorf("%s: %d %s, want 400 about %s", body, r.status, r.body, path)
		}
	}
	both := &site{s.Node, other}
	for _, at := range []*site{s, both} {
		if r := at.do(t, "GET", ofBob, "", "Authorization", bearer); r.status != http.StatusOK {
			t.Errorf("used: %d %s", r.status, r.body)
		}
	}
	r = s.do(t, "GET", "/api/v1/tokens", "")
	if r.status != http.StatusOK || !strings.Contains(r.body, `"name":"ci"`) || !strings.Contains(r.body, `"last_used_at":"`) || strings.Contains(r.body, made.Token) {
		t.Errorf("list: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", "/api/v1/tokens?limit=1", ""); !strings.Contains(r.body, `"next_cursor":"ci"`) {
		t.Errorf("first page: %s", r.body)
	}
	if r := s.do(t, "GET", "/api/v1/tokens?limit=1&cursor=ci", ""); strings.Contains(r.body, `"ci"`) || !strings.Contains(r.body, `"name":"test`) {
		t.Errorf("second page: %s", r.body)
	}
	feed := s.feed(t, "?scope=organization", "Authorization", bearer)
	revoked := time.Now()
	if r := s.do(t, "DELETE", "/api/v1/tokens/ci", ""); r.status != http.StatusNoContent {
		t.Fatalf("revoke: %d %s", r.status, r.body)
	}
	for _, at := range []*site{s, both} {
		testenv.Eventually(t, "the token is refused", func() bool {
			return at.do(t, "GET", ofBob, "", "Authorization", bearer).status == http.StatusUnauthorized
		})
	}
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("revoking took %v", took)
	}
	for feed.lines.Scan() { // until the feed ends
		continue
	}
	if r := s.do(t, "DELETE", "/api/v1/tokens/ci", ""); r.status != http.StatusNotFound {
		t.Errorf("revoked again: %d %s", r.status, r.body)
	}
	if r := s.do(t, "POST", "/api/v1/tokens", `{"name":"ci","role":"read"}`); r.status != http.StatusCreated {
		t.Errorf("the name again: %d %s", r.status, r.body)
	}
}

func TestATokenOfATenantSeesWhatIsOfItsTenant(t *testing.T) {
	t.Parallel()
	s := serve(t)
	name, avas := s.as(t, records.APIToken{Name: "avas", Role: records.RoleAdmin, Scope: ava.Scope, Identity: ava.Identity})
	_, bobs := s.as(t, records.APIToken{Name: "bobs", Role: records.RoleAdmin, Scope: bob.Scope, Identity: bob.Identity})
	feed := s.feed(t, "", name, bobs)
	path := s.connect(t, "probe")
	if r := s.do(t, "PUT", ofBob+"/probe", `{"config":`+config+`}`, name, bobs); r.status != http.StatusCreated {
		t.Fatalf("bob connects: %d %s", r.status, r.body)
	}
	if e := feed.next(t); e.data.HawserIdentity != "bob" {
		t.Errorf("bob's feed has %+v", e)
	}
	if r := s.deliver(t, path, "d1", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	stored, err := s.Queue.Streams.First(t.Context(), events.Webhooks, 1, ">")
	testenv.Must(t, err)
	s.toggle(t)
	if r := s.deliver(t, path, "d2", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.toggle(t)
	for _, c := range []struct {
		method, path, token string
		status              int
		holds               string
	}{
		{"GET", "/quarantine", bobs, 200, `{"items":[]}`},
		{"GET", "/quarantine", avas, 200, `"reason":"disabled"`},
		{"GET", "/quarantine?identity=" + ava.Identity, bobs, 404, "nothing"},
		{"GET", "/dead-letters?identity=" + ava.Identity, bobs, 404, "nothing"},
		{"GET", "/events?scope=organization&identity=" + ava.Identity, bobs, 404, "nothing"},
		{"POST", "/quarantine/1/redrive", bobs, 404, "no delivery in quarantine with this id"},
		{"POST", "/quarantine/1/redrive", avas, 200, `"webhooks":`},
		{"POST", "/webhooks/" + stored.ID() + "/replay", bobs, 404, "no stored webhook"},
		{"POST", "/webhooks/" + stored.ID() + "/replay", avas, 200, `"replayof":`},
		{"GET", "/connectors?count=connections", bobs, 403, "FORBIDDEN"},
	} {
		if r := s.do(t, c.method, "/api/v1"+c.path, "", name, c.token); r.status != c.status || !strings.Contains(r.body, c.holds) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, r.status, r.body, c.status, c.holds)
		}
	}
}

func TestAResultIsShownToItsTenant(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.StartExecutor(t, nil)
	s.connect(t, "probe")
	if r := s.do(t, "POST", ofAva+"/probe/actions/noop", `{}`, "Idempotency-Key", "r1"); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for identity, status := range map[string]int{ava.Identity: 200, bob.Identity: 404} {
		name, token := s.as(t, records.APIToken{Name: identity, Role: records.RoleAdmin, Scope: ava.Scope, Identity: identity})
		for _, id := range []string{"r1", fmt.Sprintf("organization.%s.probe.noop.r1", events.Token(ava.Identity))} {
			if r := s.do(t, "GET", "/api/v1/results/"+id, "", name, token); r.status != status {
				t.Errorf("%s as %s: %d %s, want %d", id, identity, r.status, r.body, status)
			}
		}
	}
}
