package queue_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

func subjectsOf(t testing.TB) queue.Subjects {
	t.Helper()
	public, err := events.NewSubjects("")
	if err != nil {
		t.Fatal(err)
	}
	return queue.NewSubjects(public)
}

// headers makes headers of lines "name: value"; a line without a colon is ignored.
func headers(lines string) events.Header {
	h := events.Header{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h[name] = append(h[name], value)
		}
	}
	return h
}

// FuzzReadAction holds that no message makes ReadAction panic, that it reads the
// same twice, and that a request which is read survives being parked.
func FuzzReadAction(f *testing.F) {
	f.Add("hawser.action.o.a=2Eb.c.x", "ce-id: 1\nhawser-attempt: -9", []byte(`{"a":1}`))
	f.Add("hawser.due.action.o.=.c.x", "Hawser-Attempt: 3\nce-id: a b", []byte(`{}`))
	f.Add("hawser.action.o.a.c.x", "Nats-Msg-Id: m\nce-hawserdeadline: 2026-11-21T22:00:00Z\nce-hawserpriority: high", []byte(nil))
	f.Add("hawser.action.o.a.c.x", "content-type: application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","hawseraccount":"b","traceparent":"x","data":{}}`))
	f.Add("hawser.action.o.a.c.x", "content-type: application/cloudevents+json", []byte(`{"data_base64":1,"specversion":"1.0"}`))
	f.Fuzz(func(t *testing.T, subject, lines string, data []byte) {
		subjects := subjectsOf(t)
		read := func() (events.Action, error) {
			return subjects.ReadAction(&events.StoredMessage{Subject: subject, Header: headers(lines), Data: data, Sequence: 7, Stored: time.Unix(1, 2)})
		}
		a, err := read()
		if b, again := read(); cmp.Diff(a, b) != "" || (err == nil) != (again == nil) {
			t.Fatalf("read twice: %+v, %v and %+v, %v", a, err, b, again)
		}
		if err != nil {
			return
		}
		if a.ID == "" || len(a.ID) > 1024 || !utf8.ValidString(a.ID) || a.Attempt < 0 || len(a.Account) > 128 {
			t.Fatalf("got %+v", a)
		}
		due := &events.StoredMessage{Subject: subjects.DueAction(a.ActionRef), Header: a.Message().Header, Data: a.Input}
		parked, err := subjects.ReadAction(due)
		if err != nil {
			t.Fatalf("the parked request cannot be read: %v", err)
		}
		// Once it was tried, somebody may have answered it.
		a.GeneratedID = a.GeneratedID && a.Attempt == 0
		a.Deadline, parked.Deadline = a.Deadline.UTC(), parked.Deadline.UTC()
		if diff := cmp.Diff(a, parked); diff != "" {
			t.Fatalf("parked (-want +got):\n%s", diff)
		}
	})
}
