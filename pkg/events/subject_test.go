package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/events"
)

func mustNames(t testing.TB, prefix string) events.Subjects {
	t.Helper()
	n, err := events.NewSubjects(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// identities are those that have to be kept apart.
var identities = []string{"", "o", "o:evil", "o.evil", "a.b", "a*", "a>", ">", "ünï", " ", "a b", "=", "=6F", "O", "a\x00b", "\xff", strings.Repeat("ü", 64)}

func TestSubjectsOfEveryIdentityReadBackAsWritten(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	for _, identity := range identities {
		ref := events.ActionRef{Tenant: events.Tenant{Scope: "organization", Identity: identity}, Connector: "demo-key", Action: "postMessage"}
		for _, subject := range []string{n.Action(ref), n.Call(ref)} {
			got, err := n.ParseAction(subject)
			if err != nil || got != ref {
				t.Errorf("ParseAction(%q) = %+v, %v, want %+v", subject, got, err, ref)
			}
		}
		got, id, err := n.ParseResult(n.Result(ref, "r.1"))
		if err != nil || got != ref || id != "r=2E1" {
			t.Errorf("ParseResult of %q: got %+v, %q, %v", identity, got, id, err)
		}
		webhook, err := n.ParseWebhook(n.Webhook(ref.Tenant, "demo-key", "message.created", "d1"))
		if want := (events.WebhookSubject{Tenant: ref.Tenant, Connector: "demo-key", Type: "message=2Ecreated", Delivery: "d1"}); err != nil || webhook != want {
			t.Errorf("ParseWebhook of %q: got %+v, %v", identity, webhook, err)
		}
	}
}

func TestNoTwoIdentitiesShareASubject(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	seen := map[string]string{}
	for _, identity := range append(identities, strings.Repeat("a", 129), strings.Repeat("a", 130)) {
		subject := n.Action(refOf(events.Tenant{Scope: "organization", Identity: identity}))
		if other, ok := seen[subject]; ok {
			t.Errorf("identities %q and %q share %s", other, identity, subject)
		}
		seen[subject] = identity
		if strings.Count(subject, ".") != 5 || strings.ContainsAny(subject, "*> \x00") {
			t.Errorf("identity %q makes the subject %q", identity, subject)
		}
	}
}

func TestSubjectsAreWhatTheContractSays(t *testing.T) {
	t.Parallel()
	n, ref := mustNames(t, ""), refOf(ava)
	got := map[string]string{
		"action":     n.Action(ref),
		"filter":     n.ActionFilter("demo-key"),
		"result":     n.Result(ref, "0199-a"),
		"event":      n.Event(ava, "demo-key", events.ConnectorConnected),
		"webhook":    n.Webhook(ava, "demo-key", "", "d1"),
		"quarantine": n.Quarantine("demo-key", "signature"),
		"call":       n.Call(ref),
		"api":        n.API("connections.list"),
		"stream":     n.StreamName(events.Actions),
		"bucket":     n.Bucket("connections"),
		"reference":  events.Reference(ref, "0199-a"),
	}
	want := map[string]string{
		"action":     "hawser.action.organization.ava=40example=2Ecom.demo-key.postMessage",
		"filter":     "hawser.action.*.*.demo-key.>",
		"result":     "hawser.result.organization.ava=40example=2Ecom.demo-key.postMessage.0199-a",
		"event":      "hawser.event.organization.ava=40example=2Ecom.demo-key.connector.connected",
		"webhook":    "hawser.webhook.organization.ava=40example=2Ecom.demo-key.unknown.d1",
		"quarantine": "hawser.quarantine.demo-key.signature",
		"call":       "hawser.call.organization.ava=40example=2Ecom.demo-key.postMessage",
		"api":        "hawser.api.connections.list",
		"stream":     "HAWSER_ACTIONS",
		"bucket":     "hawser-connections",
		"reference":  "organization.ava=40example=2Ecom.demo-key.postMessage.0199-a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

func TestForeignSubjectsAreRefused(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	long := "=h" + strings.Repeat("0", 64)
	for _, subject := range []string{
		"", "hawser", "hawser.action.o.a.c", "hawser.action.o.a.c.x.y", "other.action.o.a.c.x", "hawser.result.o.a.c.x",
		"hawser.due.action.o.a.c", "hawser.due.result.o.a.c.x", "due.hawser.action.o.a.c.x", "hawser..o.a.c.x",
	} {
		if got, err := n.ParseAction(subject); !errors.Is(err, events.ErrSubject) {
			t.Errorf("ParseAction(%q) = %+v, %v, want ErrSubject", subject, got, err)
		}
	}
	for _, subject := range []string{"hawser.action.o..c.x", "hawser.action.o.=41.c.x", "hawser.action.o." + long + ".c.x", "hawser.action.o.*.c.x"} {
		if got, err := n.ParseAction(subject); !errors.Is(err, events.ErrToken) {
			t.Errorf("ParseAction(%q) = %+v, %v, want ErrToken", subject, got, err)
		}
	}
	if _, _, err := n.ParseResult("hawser.result.o.a.c.x"); !errors.Is(err, events.ErrSubject) {
		t.Errorf("ParseResult: got %v, want ErrSubject", err)
	}
	if _, err := n.ParseWebhook("hawser.webhook.o.a.c.x"); !errors.Is(err, events.ErrSubject) {
		t.Errorf("ParseWebhook: got %v, want ErrSubject", err)
	}
}

func TestErrorsAboutSubjectsStayShort(t *testing.T) {
	t.Parallel()
	_, err := mustNames(t, "").ParseAction("hawser.action." + strings.Repeat("x", 4000))
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("got an error of %d bytes", len(err.Error()))
	}
}

func TestNoTwoPrefixesShareAStream(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, prefix := range []string{"hawser", "a-b", "a_b", "ab"} {
		stream := mustNames(t, prefix).StreamName(events.Actions)
		if other, ok := seen[stream]; ok {
			t.Errorf("prefixes %q and %q share the stream %s", other, prefix, stream)
		}
		seen[stream] = prefix
	}
	for _, prefix := range []string{"Hawser", "a.b", "*", ">", "a b", "ü", strings.Repeat("a", 33), "$JS"} {
		if _, err := events.NewSubjects(prefix); err == nil {
			t.Errorf("NewNames(%q): want an error", prefix)
		}
	}
}

func TestKindsAreTypesAndBack(t *testing.T) {
	t.Parallel()
	if got := events.ActionCompleted.Type(); got != "hawser.action.completed" {
		t.Errorf("Type: got %q", got)
	}
	if got := events.KindOf("hawser.action.completed"); got != events.ActionCompleted {
		t.Errorf("KindOf: got %q", got)
	}
	if got := events.KindOf("com.example.x"); got != "com.example.x" {
		t.Errorf("KindOf a foreign type: got %q", got)
	}
}
