package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func deliveryOf(subject string, h events.Header, data string) *events.StoredMessage {
	if h == nil {
		h = events.Header{}
	}
	return &events.StoredMessage{Subject: subject, Header: h, Data: []byte(data), Sequence: 7, NumDelivered: 1, Stored: time.Unix(1700000000, 123)}
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
		d    *events.StoredMessage
		want events.Action
	}{
		"plain, with an id of NATS": {deliveryOf(n.Action(ref), events.Header{"Nats-Msg-Id": {"m 1"}}, `{"text":"hi"}`),
			events.Action{ActionRef: ref, ID: "m 1", Account: "default", Input: []byte(`{"text":"hi"}`)}},
		"binary, by hand": {deliveryOf(n.Action(ref), events.Header{"Ce-Id": {"a%20b"}, "Nats-Msg-Id": {"m"}, "CE-HawserPriority": {"normal"}}, `[]`),
			events.Action{ActionRef: ref, ID: "a b", Account: "default", Input: []byte(`[]`)}},
		"binary, by us":      {deliveryOf(n.Action(ref), full.Message().Header, `{"text":"hi"}`), full},
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
	_, q := start(t)
	nc := q.Bus.JetStream().Conn()
	for range 2 {
		if err := nc.Publish(q.Bus.Subjects.Action(refOf(ava)), []byte(`{"text":"hi"}`)); err != nil {
			t.Fatal(err)
		}
	}
	ids := make(chan events.Action, 8)
	stop := consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error {
		a, err := q.Bus.Subjects.ReadAction(d)
		if err != nil || !a.GeneratedID {
			t.Errorf("ReadAction: %+v, %v", a, err)
		}
		if d.Sequence == 1 {
			ids <- a
		}
		if d.NumDelivered < 3 {
			return events.RetryIn(time.Millisecond, nil)
		}
		return events.RetryIn(time.Hour, nil)
	})
	first := testenv.Receive(t, "the first delivery", ids)
	for range 2 {
		if again := testenv.Receive(t, "another delivery", ids); again.ID != first.ID {
			t.Errorf("made up %s and %s", first.ID, again.ID)
		}
	}
	stop()
	// Read from the stream, as the sweep does, it is the same too.
	d, err := q.Streams.Message(t.Context(), events.Actions, 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := q.Streams.Message(t.Context(), events.Actions, 2)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := q.Bus.Subjects.ReadAction(d)
	b, _ := q.Bus.Subjects.ReadAction(second)
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
		if a.ActionRef != ref || !strings.HasPrefix(a.ID, c.id) || a.ID == "" || len(a.ID) > 1024 || a.GeneratedID != (c.id == "") {
			t.Errorf("%s: got %+v, want the id %q", name, a, c.id)
		}
	}
	for _, subject := range []string{"hawser.action.o.a.c", "hawser.action.o.=41.c.x"} {
		if _, err := n.ReadAction(deliveryOf(subject, nil, "")); !errors.Is(err, events.ErrRequest) || !errors.Is(err, events.ErrSubject) && !errors.Is(err, events.ErrToken) {
			t.Errorf("%s: got error %v", subject, err)
		}
	}
}

func TestAMessageWithoutHeadersIsARequest(t *testing.T) {
	t.Parallel()
	n := mustNames(t, "")
	a, err := n.ReadAction(&events.StoredMessage{Subject: n.Action(refOf(ava)), Data: []byte(`{}`)})
	if err != nil || !a.GeneratedID || string(a.Input) != `{}` {
		t.Errorf("got %+v, %v", a, err)
	}
}

// The subjects that a request leads to have room for it, however long its own is.
func TestTheLongestRequestCanBeAnswered(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	wide := strings.Repeat("ü", 64) // 128 bytes, 384 when escaped
	a := events.Action{ActionRef: events.ActionRef{Tenant: events.Tenant{Scope: wide, Identity: wide}, Connector: wide, Action: wide}, Account: wide, ID: wide}
	publishAction(t, q, a)
	if err := q.Park(t.Context(), a, time.Now()); err != nil {
		t.Errorf("Park: %v", err)
	}
	if err := q.DeadLetter(t.Context(), a, "X"); err != nil {
		t.Errorf("DeadLetter: %v", err)
	}
	answerRequest(t, q, a, `{"data":1}`)
	if e, err := q.Bus.RequestAction(bounded(t), a); err != nil || string(e.Data()) != `{"data":1}` {
		t.Errorf("Request: %s, %v", e.Data(), err)
	}
	if e, err := q.Bus.ResultOf(t.Context(), a); err != nil || string(e.Data()) != `{"data":1}` {
		t.Errorf("ResultOf: %s, %v", e.Data(), err)
	}
	if e, err := q.Bus.StoredResult(t.Context(), a.Reference(), ""); err != nil || e.Type() != events.ActionCompleted.Type() {
		t.Errorf("StoredResult: %v, %v", e.Type(), err)
	}
}

func TestARequestThatCannotBeCarriedIsRefusedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for _, id := range []string{"", "\xff", strings.Repeat("x", 1025)} {
		a := request(id)
		wantError(t, "PublishAction", q.Bus.PublishAction(t.Context(), a), events.ErrRequest)
		_, err := q.Bus.RequestAction(t.Context(), a)
		wantError(t, "Request", err, events.ErrRequest)
		wantError(t, "Park", q.Park(t.Context(), a, time.Now()), events.ErrRequest)
		wantError(t, "DeadLetter", q.DeadLetter(t.Context(), a, "X"), events.ErrRequest)
	}
	if got := state(t, q, events.Actions).Messages; got != 0 {
		t.Errorf("%d requests were stored", got)
	}
}

// A tenant of its own account publishes with whatever header it likes.
func TestATenantsHeadersAreNoInstructions(t *testing.T) {
	t.Parallel()
	env, q := start(t)
	tenant := env.TenantConn(t, "organization", "ava=40example=2Ecom")
	publish := func(h nats.Header) {
		t.Helper()
		msg := &nats.Msg{Subject: q.Bus.Subjects.Action(refOf(ava)), Header: h, Data: []byte(`{}`)}
		if _, err := tenant.RequestMsgWithContext(bounded(t), msg); err != nil {
			t.Fatal(err)
		}
	}
	publishAction(t, q, request("other"))
	publish(nats.Header{"Nats-Rollup": {"all"}})
	publish(nats.Header{"Nats-Schedule": {"@at 2020-01-01T00:00:00Z"}, "Nats-Schedule-Target": {q.Bus.Subjects.Action(refOf(bob))}})
	publish(nats.Header{"Nats-TTL": {"1s"}})
	for subject := range mustSubjects(t, q, events.Actions) {
		if strings.Contains(subject, ".bob.") {
			t.Errorf("a request of another tenant: %s", subject)
		}
	}
	if d, err := q.Streams.Message(t.Context(), events.Actions, 1); err != nil || d.Header.Get("ce-id") != "other" {
		t.Errorf("the other request: %v", err)
	}
}

func mustSubjects(t testing.TB, q *queue.Queue, s events.Stream) map[string]uint64 {
	t.Helper()
	got, err := q.Streams.SubjectCounts(t.Context(), s, ">")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
