package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestATenantCanDoItsOwnAndNothingElse tries what a tenant's credentials allow,
// and everything near it that they must not.
func TestATenantCanDoItsOwnAndNothingElse(t *testing.T) {
	t.Parallel()
	h := up(t)
	h.connectDemo("organization/mine")
	theirs := h.connectDemo("organization/theirs")
	operator := h.connect()
	tenant := dial(t, h.nats, h.tenantCreds("organization", "mine"))
	victimResults := listen(t, operator, "hawser.result.organization.theirs.>")

	results := listen(t, tenant, "hawser.result.organization.mine.>")
	events := listen(t, tenant, "hawser.event.organization.mine.>")
	ack, err := tenant.Request("hawser.action.organization.mine.demo-key.postMessage", []byte(`{"text":"mine"}`), 20*time.Second)
	if err != nil || !strings.Contains(string(ack.Data), "HAWSER_ACTIONS") {
		t.Fatalf("a tenant's publish got %v, %v, want the stream's ack", ack, err)
	}
	if got := results.next(); !strings.Contains(string(got.Data), `"text":"mine"`) {
		t.Errorf("result %s", got.Data)
	}
	if got := events.next(); got.Header.Get("ce-type") != "hawser.action.started" {
		t.Errorf("event %v", got.Header)
	}

	for _, subject := range []string{
		"hawser.action.organization.theirs.demo-key.postMessage", "hawser.result.organization.mine.demo-key.postMessage.x",
		"hawser.event.organization.mine.demo-key.action.completed", "hawser.webhook.organization.mine.demo-key.x",
		"hawser.api.connections.list", "hawser.call.organization.mine.demo-key.postMessage", "hawser.validate.demo-key",
		"$JS.API.INFO", "$JS.API.STREAM.DELETE.HAWSER_ACTIONS", "$KV.hawser-connections.organization.theirs.demo-key.default",
		"$KV.hawser-connections.organization.mine.demo-key.default", "$SYS.REQ.SERVER.PING", "$SRV.PING",
	} {
		if !refused(t, tenant, func() error { return tenant.Publish(subject, []byte(`{}`)) }) {
			t.Errorf("publishing to %s was not refused", subject)
		}
	}
	for _, subject := range []string{
		"hawser.result.organization.theirs.>", "hawser.event.organization.theirs.>", "hawser.webhook.organization.theirs.>",
		"hawser.>", ">", "hawser.*.organization.theirs.>", "hawser.action.organization.mine.>", "$KV.>", "$SYS.>",
	} {
		if !refused(t, tenant, func() error { _, err := tenant.SubscribeSync(subject); return err }) {
			t.Errorf("subscribing to %s was not refused", subject)
		}
	}

	// JetStream acknowledges to the reply subject that the publisher names.
	for _, reply := range []string{
		"$KV.hawser-connections.organization.theirs.demo-key.default", "hawser.result.organization.theirs.demo-key.postMessage.x", "hawser.api.connections.disconnect",
	} {
		if err := tenant.PublishRequest("hawser.action.organization.mine.demo-key.postMessage", reply, []byte(`{"text":"evil"}`)); err != nil {
			t.Fatal(err)
		}
		results.next()
	}
	if a := h.api("GET", "/scopes/organization/theirs/connections/demo-key", ""); a.status != http.StatusOK || !strings.Contains(string(a.body), theirs.ID) {
		t.Errorf("the victim's connection is now %d %s", a.status, a.body)
	}
	victimResults.empty(200 * time.Millisecond)
}

// refused reports whether the server answers what do sends with a permissions
// violation.
func refused(t *testing.T, nc *nats.Conn, do func() error) bool {
	t.Helper()
	violations := make(chan error, 16)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err })
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-violations:
		return errors.Is(err, nats.ErrPermissionViolation)
	case <-time.After(time.Second):
		return false
	}
}

func TestTenantsWithHostileNamesNeverMeet(t *testing.T) {
	t.Parallel()
	h := up(t)
	nc := h.connect()
	// path segment → identity, as escaped in subjects
	tenants := map[string]string{
		"organization/o": "organization.o", "organization/o%3Aevil": "organization.o=3Aevil", "organization/a.b": "organization.a=2Eb",
		"organization/a%2A": "organization.a=2A", "organization/%C3%BCn%C3%AF": "organization.=C3=BCn=C3=AF", "system/": "system.=",
		"organization/%3E": "organization.=3E", "organization/a%2Fb": "organization.a=2Fb", "organization/%3D": "organization.=3D",
	}
	ids := map[string]string{}
	for path := range tenants {
		ids[path] = h.connectDemo(path).ID
	}
	for path, token := range tenants {
		var list []struct{ ID string }
		a := h.api("GET", "/scopes/"+path+"/connections", "")
		a.decode(t, &list)
		if len(list) != 1 || list[0].ID != ids[path] {
			t.Errorf("%s sees %s, want its own %s alone", path, a.body, ids[path])
		}
		results := listen(t, nc, "hawser.result."+token+".>")
		events := listen(t, nc, "hawser.event."+token+".>")
		if a := h.api("POST", "/scopes/"+path+"/connections/demo-key/actions/postMessage", `{"text":"`+token+`"}`, "Idempotency-Key", "same-id"); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		var result struct{ Data struct{ Text string } }
		if err := json.Unmarshal(results.next().Data, &result); err != nil || result.Data.Text != token {
			t.Errorf("%s got the result %v %v, want its own", path, result, err)
		}
		if got := events.next().Header.Get("ce-hawserconnection"); got != ids[path] {
			t.Errorf("%s got an event of connection %s, want %s", path, got, ids[path])
		}
	}
	if n := stored(t, nc, "HAWSER_RESULTS", "hawser.result.>"); n != len(tenants) {
		t.Errorf("%d results of one request id used by %d tenants, want one each", n, len(tenants))
	}
}
