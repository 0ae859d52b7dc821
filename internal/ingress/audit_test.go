package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
)

func (s *site) audit(t *testing.T, query string) []audit.Entry {
	t.Helper()
	r := s.do(t, "GET", "/api/v1/audit?"+query, "")
	var page struct{ Items []audit.Entry }
	testenv.Must(t, json.Unmarshal([]byte(r.body), &page))
	return page.Items
}

func TestEveryChangeAndEveryRefusalIsInTheAuditTrail(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, reader := s.as(t, records.APIToken{Name: "reader", Role: records.RoleRead})
	_, bobs := s.as(t, records.APIToken{Name: "bobs", Role: records.RoleRead, Scope: bob.Scope, Identity: bob.Identity})
	s.connect(t, "probe")
	one := ofAva + "/probe"
	s.do(t, "POST", one+"/resolve", "")
	s.do(t, "GET", one+"/proxy/x", "")
	s.do(t, "GET", ofAva, "") // not recorded
	s.do(t, "POST", one+"/resolve", "", "Authorization", reader)
	s.do(t, "GET", ofAva, "", "Authorization", bobs)
	s.do(t, "GET", ofAva, "", "Authorization", "Bearer wrong")
	made := s.do(t, "POST", "/api/v1/tokens", `{"name":"new","role":"read"}`)
	if _, _, err := s.Bus.Request(t.Context(), s.Bus.Subjects.API("connections.toggle"), []byte(`{"scope":"organization","identity":"ava@example.com","connector":"probe"}`)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		query, actor, code, identity, name string
		status                             int
	}{
		{"operation=connections.connect&outcome=started", "test", "", ava.Identity, "", 0},
		{"operation=connections.connect&outcome=done", "test", "", ava.Identity, "", 201},
		{"operation=connections.resolve&outcome=done", "test", "", ava.Identity, "", 200},
		{"operation=connections.proxy&outcome=done", "test", "CONNECTOR_ACTION_FAILED", ava.Identity, "", 502},
		{"operation=connections.resolve&outcome=refused", "reader", "FORBIDDEN", ava.Identity, "", 403},
		{"operation=connections.list&actor=bobs", "bobs", "", ava.Identity, "", 404},
		{"operation=connections.list&outcome=refused", "", "UNAUTHENTICATED", ava.Identity, "", 401},
		{"operation=tokens.create&outcome=done", "test", "", "", "new", 201},
		{"operation=connections.toggle&outcome=done", "nats", "", ava.Identity, "", 200},
	} {
		found := s.audit(t, want.query)
		if len(found) == 0 {
			t.Errorf("%s: no entry", want.query)
			continue
		}
		e := found[0]
		if want.name == "" {
			e.Name = ""
		}
		if e.Actor != want.actor || e.Code != want.code || e.Identity != want.identity || e.Name != want.name || e.Status != want.status || e.RequestID == "" {
			t.Errorf("%s: %+v, want %+v", want.query, e, want)
		}
	}
	export := s.do(t, "GET", "/api/v1/audit/export", "")
	var token struct{ Token string }
	testenv.Must(t, json.Unmarshal([]byte(made.body), &token))
	for _, secret := range []string{"key-of-ava", secret, token.Token, "hwt_", "Bearer"} {
		if strings.Contains(export.body, secret) {
			t.Errorf("the trail has %q", secret)
		}
	}
	report, err := audit.Verify(strings.NewReader(export.body), 0)
	if err != nil || report.Entries < 12 || report.Problems != nil || export.header.Get("Hawser-Audit-Last") == "" {
		t.Errorf("%+v %v", report, err)
	}
}

func TestNothingIsChangedWithoutAnEntry(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.connect(t, "probe")
	testenv.Must(t, s.Bus.JetStream().DeleteStream(t.Context(), s.Bus.Subjects.StreamName(queue.Audit)))
	if r := s.do(t, "DELETE", ofAva+"/probe", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("disconnect: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", ofAva+"/probe", ""); r.status != http.StatusOK {
		t.Errorf("read: %d %s", r.status, r.body)
	}
}
