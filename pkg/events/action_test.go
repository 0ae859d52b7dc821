package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
)

func deliveryOf(subject string, h events.Header, data string) *events.Delivery {
	if h == nil {
		h = events.Header{}
	}
	return &events.Delivery{Subject: subject, Header: h, Data: []byte(data), Sequence: 7, Attempt: 1, Stored: time.Unix(1700000000, 123)}
}

func TestARequestIsReadFromEveryForm(t *testing.T) {
	t.Parallel()
	n, ref := mustNames(t, ""), refOf(ava)
	deadline := time.Date(2026, 11, 21, 22, 0, 0, 500, time.UTC)
	full := events.Action{ActionRef: ref, ID: "order 7/ü", Account: "second", Deadline: deadline, High: true, Input: []byte(`{"text":"hi"}`)}
	structuredBody := `{"specversion":"1.0","id":"order 7/ü","source":"/s","type":"t","hawseraccount":"second","hawserscope":"organization",` +
		`"hawserdeadline":"2026-11-21T22:00:00.0000005Z","hawserpriority":"high","hawseridentity":"ava@example.com","data":{"text":"hi"}}`
	base64Body := strings.Replace(structuredBody, `"data":{"text":"hi"}`, `"datacontenttype":"application/json","data_base64":"eyJ0ZXh0IjoiaGkifQ=="`, 1)
	for name, c := range map[string]struct {
		d    *events.Delivery
		want events.Action
	}{
		"plain, with an id of NATS": {deliveryOf(n.Action(ref), events.Header{"Nats-Msg-Id": {"m 1"}}, `{"text":"hi"}`),
			events.Action{ActionRef: ref, ID: "m 1", Account: "default", Input: []byte(`{"text":"hi"}`)}},
		"binary, by hand": {deliveryOf(n.Action(ref), events.Header{"Ce-Id": {"a%20b"}, "Nats-Msg-Id": {"m"}, "CE-HawserPriority": {"normal"}}, `[]`),
			events.Action{ActionRef: ref, ID: "a b", Account: "default", Input: []byte(`[]`)}},
		"binary, by us":      {deliveryOf(n.Action(ref), full.Headers(), `{"text":"hi"}`), full},
		"structured":         {deliveryOf(n.Action(ref), events.Header{"Content-Type": {"application/cloudevents+json"}}, structuredBody), full},
		"structured, base64": {deliveryOf(n.Action(ref), events.Header{"content-type": {"application/cloudevents+json"}}, base64Body), full},
		"no input":           {deliveryOf(n.Call(ref), events.Header{"ce-id": {"1"}}, ""), events.Action{ActionRef: ref, ID: "1", Account: "default", Input: []byte{}}},
	} {
		got, err := n.ReadAction(c.d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAMadeUpIDIsTheSameAtEveryDelivery(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	nc := bus.JetStream().Conn()
	for range 2 {
		if err := nc.Publish(bus.Action(refOf(ava)), []byte(`{"text":"hi"}`)); err != nil {
			t.Fatal(err)
		}
	}
	ids := make(chan events.Action, 8)
	stop := consume(t, bus, requests(t, bus), func(_ context.Context, d *events.Delivery) error {
		a, err := bus.ReadAction(d)
		if err != nil || !a.MadeUp {
			t.Errorf("ReadAction: %+v, %v", a, err)
		}
		if d.Sequence == 1 {
			ids <- a
		}
		if d.Attempt < 3 {
			return events.Again(time.Millisecond, nil)
		}
		return events.Again(time.Hour, nil)
	})
	first := receive(t, "the first delivery", ids)
	for range 2 {
		if again := receive(t, "another delivery", ids); again.ID != first.ID {
			t.Errorf("made up %s and %s", first.ID, again.ID)
		}
	}
	stop()
	// Read from the stream, as the sweep does, it is the same too.
	d, err := bus.Message(t.Context(), events.Actions, 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := bus.Message(t.Context(), events.Actions, 2)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := bus.ReadAction(d)
	b, _ := bus.ReadAction(second)
	if a.ID != first.ID || b.ID == first.ID || len(a.ID) != 36 {
		t.Errorf("request 1: %s when consumed, %s when read; request 2: %s", first.ID, a.ID, b.ID)
	}
}

func TestAMalformedRequestIsReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	n, ref := mustNames(t, ""), refOf(ava)
	long := strings.Repeat("x", 1025)
	structured := events.Header{"content-type": {"application/cloudevents+json"}}
	for name, c := range map[string]struct {
		h    events.Header
		data string
		id   string
	}{
		"another tenant":    {events.Header{"ce-id": {"1"}, "ce-hawseridentity": {"bob"}}, "", "1"},
		"another scope":     {events.Header{"ce-id": {"1"}, "ce-hawserscope": {"user"}}, "", "1"},
		"another connector": {events.Header{"ce-id": {"1"}, "ce-hawserconnector": {"x"}}, "", "1"},
		"deadline":          {events.Header{"ce-id": {"1"}, "ce-hawserdeadline": {"tomorrow"}}, "", "1"},
		"long account":      {events.Header{"ce-id": {"1"}, "ce-hawseraccount": {strings.Repeat("x", 129)}}, "", "1"},
		"account not UTF-8": {events.Header{"ce-id": {"1"}, "ce-hawseraccount": {"%ff"}}, "", "1"},
		"id not UTF-8":      {events.Header{"ce-id": {"%ff"}}, "", "%ff"},
		"long id":           {events.Header{"ce-id": {long}}, "", "sha256:"},
		"raw id not UTF-8":  {events.Header{"Nats-Msg-Id": {"\xff"}}, "", "sha256:"},
		"no source":         {structured, `{"specversion":"1.0","id":"1","type":"t"}`, "1"},
		"other tenant":      {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","hawseridentity":"bob"}`, "1"},
		"bad data":          {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":1}`, "1"},
		"bad extension":     {structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","x":{}}`, "1"},
		"no JSON":           {structured, `{`, ""},
	} {
		a, err := n.ReadAction(deliveryOf(n.Action(ref), c.h, c.data))
		if !errors.Is(err, events.ErrRequest) || errors.Is(err, events.ErrSubject) {
			t.Errorf("%s: got error %v, want ErrRequest", name, err)
		}
		if a.ActionRef != ref || !strings.HasPrefix(a.ID, c.id) || a.ID == "" || len(a.ID) > 1024 || a.MadeUp != (c.id == "") {
			t.Errorf("%s: got %+v, want the id %q", name, a, c.id)
		}
	}
	for _, subject := range []string{"hawser.action.o.a.c", "hawser.action.o.=41.c.x"} {
		if _, err := n.ReadAction(deliveryOf(subject, nil, "")); !errors.Is(err, events.ErrRequest) || !errors.Is(err, events.ErrSubject) && !errors.Is(err, events.ErrToken) {
			t.Errorf("%s: got error %v", subject, err)
		}
	}
}

// The count of attempts is ours. A tenant who could set it could have a request
// tried for ever.
func TestOnlyAParkedRequestSaysHowOftenItWasTried(t *testing.T) {
	t.Parallel()
	n, ref := mustNames(t, ""), refOf(ava)
	for _, c := range []struct {
		subject, value string
		want           int
	}{
		{n.Action(ref), "3", 0}, {n.Call(ref), "3", 0}, {n.Due(ref), "3", 3}, {n.Due(ref), "-3", 0}, {n.Due(ref), "x", 0}, {n.Due(ref), "", 0},
	} {
		a, err := n.ReadAction(deliveryOf(c.subject, events.Header{"ce-id": {"1"}, events.HeaderAttempt: {c.value}}, ""))
		if err != nil || a.Attempt != c.want {
			t.Errorf("%s, %q: attempt %d, %v, want %d", c.subject, c.value, a.Attempt, err, c.want)
		}
	}
}

// A sender that made the id for this message spares the look for a result.
func TestAFreshIDIsToldAlong(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	a := request(events.NewID())
	for _, fresh := range []bool{true, false} {
		a.MadeUp = fresh
		got, err := n.ReadAction(deliveryOf(n.Action(a.ActionRef), a.Headers(), ""))
		if err != nil || got.MadeUp != fresh || got.ID != a.ID {
			t.Errorf("fresh %v: got %+v, %v", fresh, got, err)
		}
	}
	a.MadeUp, a.Attempt = true, 1
	if got, err := n.ReadAction(deliveryOf(n.Due(a.ActionRef), a.Headers(), "")); err != nil || got.MadeUp {
		t.Errorf("tried once: got %+v, %v, want an id that may have a result", got, err)
	}
}

func TestAMessageWithoutHeadersIsARequest(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	a, err := n.ReadAction(&events.Delivery{Subject: n.Action(refOf(ava)), Data: []byte(`{}`)})
	if err != nil || !a.MadeUp || string(a.Input) != `{}` {
		t.Errorf("got %+v, %v", a, err)
	}
}

// The subjects that a request leads to have room for it, however long its own is.
func TestTheLongestRequestCanBeAnswered(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	wide := strings.Repeat("ü", 64) // 128 bytes, 384 when escaped
	a := events.Action{ActionRef: events.ActionRef{Tenant: events.Tenant{Scope: wide, Identity: wide}, Connector: wide, Action: wide}, ID: wide}
	publishAction(t, bus, a)
	if err := bus.Park(t.Context(), a, time.Now()); err != nil {
		t.Errorf("Park: %v", err)
	}
	if err := bus.Bury(t.Context(), a, "X"); err != nil {
		t.Errorf("Bury: %v", err)
	}
	answerRequest(t, bus, a, `{"data":1}`)
	if e, err := bus.Request(patient(t), a); err != nil || string(e.Data()) != `{"data":1}` {
		t.Errorf("Request: %s, %v", e.Data(), err)
	}
	if e, err := bus.ResultOf(t.Context(), a.ActionRef, a.ID); err != nil || string(e.Data()) != `{"data":1}` {
		t.Errorf("ResultOf: %s, %v", e.Data(), err)
	}
	if e, err := bus.StoredResult(t.Context(), events.Reference(a.ActionRef, a.ID)); err != nil || e.Type() != events.ActionCompleted.Type() {
		t.Errorf("StoredResult: %v, %v", e.Type(), err)
	}
}

func TestARequestThatCannotBeCarriedIsRefusedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	for _, id := range []string{"", "\xff", strings.Repeat("x", 1025)} {
		a := request(id)
		wantError(t, "PublishAction", bus.PublishAction(t.Context(), a), events.ErrRequest)
		_, err := bus.Request(t.Context(), a)
		wantError(t, "Request", err, events.ErrRequest)
		wantError(t, "Park", bus.Park(t.Context(), a, time.Now()), events.ErrRequest)
		wantError(t, "Bury", bus.Bury(t.Context(), a, "X"), events.ErrRequest)
	}
	if got := state(t, bus, events.Actions).Messages; got != 0 {
		t.Errorf("%d requests were stored", got)
	}
}

// A tenant of its own account publishes with whatever header it likes.
func TestATenantsHeadersAreNoInstructions(t *testing.T) {
	t.Parallel()
	env, bus := start(t)
	tenant := env.TenantConn(t, "organization", "ava=40example=2Ecom")
	publish := func(h nats.Header) {
		t.Helper()
		msg := &nats.Msg{Subject: bus.Action(refOf(ava)), Header: h, Data: []byte(`{}`)}
		if _, err := tenant.RequestMsgWithContext(patient(t), msg); err != nil {
			t.Fatal(err)
		}
	}
	publishAction(t, bus, request("other"))
	publish(nats.Header{"Nats-Rollup": {"all"}})
	publish(nats.Header{"Nats-Schedule": {"@at 2020-01-01T00:00:00Z"}, "Nats-Schedule-Target": {bus.Action(refOf(bob))}})
	publish(nats.Header{"Nats-TTL": {"1s"}})
	for subject := range mustSubjects(t, bus, events.Actions) {
		if strings.Contains(subject, ".bob.") {
			t.Errorf("a request of another tenant: %s", subject)
		}
	}
	if d, err := bus.Message(t.Context(), events.Actions, 1); err != nil || d.Header.Get("ce-id") != "other" {
		t.Errorf("the other request: %v", err)
	}
}

func mustSubjects(t testing.TB, bus *events.Bus, s events.Stream) map[string]uint64 {
	t.Helper()
	got, err := bus.Subjects(t.Context(), s, ">")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
