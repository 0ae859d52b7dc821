package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/api"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// operation is one row of what the table of access has to say. The path has TENANT, and the
// parameters by NATS are those of a tenant, if the operation is about one.
type operation struct {
	name, method, path, body string
	role                     string // the least
	about                    string
}

const one = "/scopes/organization/TENANT/connections/probe"

var table = []operation{
	{"connectors.list", "GET", "/connectors", "", "read", "catalogue"},
	{"connectors.get", "GET", "/connectors/probe", "", "read", "catalogue"},
	{"connectors.apply", "PUT", "/connectors/probe", `{}`, "operator", "installation"},
	{"connectors.remove", "DELETE", "/connectors/ghost", "", "operator", "installation"},
	{"connectors.migrate", "POST", "/connectors/ghost/migrate", "", "operator", "installation"},
	{"connections.list", "GET", "/scopes/organization/TENANT/connections", "", "read", "tenant"},
	{"connections.count", "GET", "/scopes/organization/TENANT/connections/count", "", "read", "tenant"},
	{"connections.get", "GET", one, "", "read", "tenant"},
	{"connections.connect", "PUT", one, `{"config":{}}`, "operator", "tenant"},
	{"connections.update", "PATCH", one, `{}`, "operator", "tenant"},
	{"connections.disconnect", "DELETE", one, "", "operator", "tenant"},
	{"connections.toggle", "POST", one + "/toggle", "", "operator", "tenant"},
	{"connections.rotate-webhook", "POST", one + "/rotate-webhook", "", "operator", "tenant"},
	{"connections.refresh", "POST", one + "/refresh", "", "operator", "tenant"},
	{"connections.select", "POST", one + "/select", `{"resource_id":"r"}`, "operator", "tenant"},
	{"connections.resolve", "POST", one + "/resolve", "", "admin", "tenant"},
	{"connections.captured-secret", "POST", one + "/captured-secret", "", "admin", "tenant"},
	{"connections.proxy", "GET", one + "/proxy/x", "", "operator", "tenant"},
	{"connections.replay", "POST", one + "/replay", `{}`, "operator", "tenant"},
	{"connect-sessions.create", "POST", "/connect-sessions", `{"scope":"organization","identity":"TENANT","connectors":["ghost"]}`, "operator", "body"},
	{"apps.get", "GET", "/apps/probe", "", "read", "installation"},
	{"apps.set", "PUT", "/apps/probe", `{}`, "operator", "installation"},
	{"apps.delete", "DELETE", "/apps/probe", "", "operator", "installation"},
	{"tokens.list", "GET", "/tokens", "", "read", "installation"},
	{"tokens.create", "POST", "/tokens", `{"name":"?","role":"read"}`, "admin", "installation"},
	{"tokens.revoke", "DELETE", "/tokens/ghost", "", "admin", "installation"},
	{"actions.run", "POST", one + "/actions/nonsuch", `{}`, "operator", "tenant"},
	{"actions.run-default", "POST", "/connectors/probe/actions/noop", `{}`, "operator", "installation"},
	{"results.get", "GET", "/results/x", "", "admin", "thing"},
	{"events.read", "GET", "/events?type=1", "", "read", "thing"},
	{"quarantine.list", "GET", "/quarantine", "", "read", "thing"},
	{"quarantine.redrive", "POST", "/quarantine/1/redrive", "", "operator", "thing"},
	{"dead-letters.list", "GET", "/dead-letters", "", "read", "thing"},
	{"dead-letters.redrive", "POST", "/dead-letters/1/redrive", "", "operator", "thing"},
	{"webhooks.replay", "POST", "/webhooks/x/replay", "", "operator", "thing"},
	{"audit.list", "GET", "/audit", "", "read", "installation"},
	{"audit.export", "GET", "/audit/export", "", "read", "installation"},
	{"webhooks.body", "GET", "/scopes/organization/TENANT/webhooks/x/body", "", "admin", "tenant"},
}

var ranks = map[string]int{"read": 1, "operator": 2, "admin": 3}

const hidden = "there is nothing at this path for this token"

// want is the status that refuses, 0 if the operation is to be let through.
func (o operation) want(role string, bound, own bool) (status int, detail string) {
	switch {
	case ranks[role] < ranks[o.role]:
		return http.StatusForbidden, "needs a token with the role " + o.role
	case bound && o.about == "installation":
		return http.StatusForbidden, "needs a token of the whole installation"
	case bound && !own && (o.about == "tenant" || o.about == "body"):
		return http.StatusNotFound, hidden
	}
	return 0, ""
}

type answer struct {
	Status int
	Code   string
	Detail string
}

func TestEveryOperationAsksForItsRoleAndTenant(t *testing.T) {
	t.Parallel()
	roles := map[string]string{}
	for _, o := range table {
		roles[o.name] = o.role
	}
	if diff := cmp.Diff(roles, api.Access()); diff != "" {
		t.Fatalf("operations and roles (-here +there):\n%s", diff)
	}
	for _, name := range api.Operations() {
		if roles[name] == "" {
			t.Errorf("%s has no row: nobody may use it", name)
		}
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "")}, BaseURL: "https://hooks.example.test"})
	front := n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test"})
	for _, role := range slices.Sorted(maps.Keys(ranks)) {
		for _, bound := range []bool{false, true} {
			info := records.APIToken{Name: fmt.Sprint(role, bound), Role: records.Role(role)}
			if bound {
				info.Scope, info.Identity = "organization", "ava"
			}
			token, err := n.Tokens.Create(t.Context(), info)
			testenv.Must(t, err)
			for _, o := range table {
				for _, tenant := range []string{"ava", "bob"} {
					status, detail := o.want(role, bound, tenant == "ava")
					what := fmt.Sprintf("%s %s of %s, bound %t", o.name, tenant, role, bound)
					check(t, what+" over HTTP", overHTTP(t, front, o, tenant, token), status, detail)
					if slices.Contains(api.Operations(), o.name) {
						check(t, what+" over NATS", overNATS(t, n, o, tenant, token), status, detail)
					}
				}
			}
		}
	}
}

func check(t *testing.T, what string, got answer, status int, detail string) {
	t.Helper()
	let := got.Status != http.StatusForbidden && got.Status != http.StatusUnauthorized && got.Detail != hidden
	switch {
	case status == 0 && !let, status != 0 && (got.Status != status || !strings.Contains(got.Detail, detail)):
		t.Errorf("%s: %+v, want %d %s", what, got, status, detail)
	case status == http.StatusForbidden && got.Code != "FORBIDDEN":
		t.Errorf("%s: code %s", what, got.Code)
	}
}

var created int

func fill(text, tenant string) string {
	created++
	return strings.NewReplacer("TENANT", tenant, "?", fmt.Sprint("made", created)).Replace(text)
}

func overHTTP(t *testing.T, front *testenv.Front, o operation, tenant string, token secret.Text) (got answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), o.method, front.URL+"/api/v1"+strings.ReplaceAll(o.path, "TENANT", tenant), strings.NewReader(fill(o.body, tenant)))
	testenv.Must(t, err)
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	r.Header.Set("Prefer", "wait=0")
	resp, err := front.HTTP.Do(r)
	testenv.Must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	testenv.Must(t, err)
	_ = json.Unmarshal(body, &got) // an answer that is no problem has its own form
	got.Status = resp.StatusCode
	return got
}

func overNATS(t *testing.T, n *testenv.Node, o operation, tenant string, token secret.Text) (got answer) {
	t.Helper()
	request := map[string]any{}
	if o.body != "" {
		testenv.Must(t, json.Unmarshal([]byte(fill(o.body, tenant)), &request))
	}
	if o.about == "tenant" {
		request["scope"], request["identity"] = "organization", tenant
	}
	for _, part := range []struct{ in, name, value string }{
		{"/probe", "connector", "probe"}, {"/ghost", "connector", "ghost"}, {"/tokens/ghost", "name", "ghost"}, {"/webhooks/x", "id", "x"},
	} {
		if strings.Contains(o.path, part.in) {
			request[part.name] = part.value
		}
	}
	if strings.HasPrefix(o.path, "/tokens") {
		delete(request, "connector")
	}
	data, err := json.Marshal(request)
	testenv.Must(t, err)
	ask := &nats.Msg{Subject: n.Bus.Subjects.API(o.name), Data: data, Header: nats.Header{"Authorization": {"Bearer " + token.Reveal()}}}
	reply, err := n.Bus.JetStream().Conn().RequestMsgWithContext(testenv.Bounded(t), ask)
	testenv.Must(t, err)
	_ = json.Unmarshal(reply.Data, &got)
	return got
}

// A caller over NATS is an admin in Hawser's account, whoever it says it is in another.
func TestACallerOverNATSIsKnown(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	n.StartIngress(t, nil)
	for name, c := range map[string]struct {
		header nats.Header
		code   string
	}{
		"Hawser's account": {nil, ""},
		"another account":  {nats.Header{"Nats-Request-Info": {`{"acc":"A"}`}}, "UNAUTHENTICATED"},
		"a wrong token":    {nats.Header{"Authorization": {"Bearer hwt_wrong"}}, "UNAUTHENTICATED"},
		"an empty token":   {nats.Header{"Authorization": {"Bearer"}}, "UNAUTHENTICATED"},
	} {
		reply, err := n.Bus.JetStream().Conn().RequestMsgWithContext(testenv.Bounded(t), &nats.Msg{Subject: n.Bus.Subjects.API("tokens.list"), Header: c.header})
		testenv.Must(t, err)
		if got := reply.Header.Get("Nats-Service-Error-Code"); got != c.code {
			t.Errorf("%s: code %q, want %q: %s", name, got, c.code, reply.Data)
		}
	}
}
