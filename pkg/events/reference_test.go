package events_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestNoTwoRequestsHaveOneReference(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 64)
	seen := map[string]events.Action{}
	for _, id := range []string{"a", "a=ab", "b", "a=", "=a", long, long + "x", ""} {
		for _, account := range []string{"default", "a", "b", "ab", "=a", "=ab", "x=ab", long, "x" + long[2:]} {
			for _, input := range []string{"", `{"x":1}`} {
				a := events.Action{ActionRef: refOf(ava), ID: id, Account: account, Input: json.RawMessage(input), Conflict: input != ""}
				if other, ok := seen[a.Reference()]; ok {
					t.Errorf("%+v and %+v: %s", a, other, a.Reference())
				}
				seen[a.Reference()] = a
			}
		}
	}
	for _, account := range []string{"", "default"} {
		if got, want := (events.Action{ActionRef: refOf(ava), ID: "r 1", Account: account}).Reference(), events.Reference(refOf(ava), "r 1"); got != want {
			t.Errorf("account %q: %s, want %s", account, got, want)
		}
	}
}

func TestTheSameInputHasTheSameFingerprint(t *testing.T) {
	t.Parallel()
	of := func(input string) string { return events.Action{Input: json.RawMessage(input)}.InputFingerprint() }
	for _, same := range [][]string{
		{``, `{}`, " {\n}"},
		{`{"a":1,"b":"é"}`, `{ "b" : "\u00e9", "a":1}`},
		{`not JSON`, `not JSON`},
	} {
		for _, input := range same[1:] {
			if of(input) != of(same[0]) {
				t.Errorf("%s and %s differ", same[0], input)
			}
		}
	}
	for _, other := range [][2]string{
		{`{"a":1}`, `{"a":2}`}, {`[1,2]`, `[2,1]`}, {`{"a":12345678901234567890}`, `{"a":12345678901234567891}`}, {`not JSON`, `not  JSON`},
	} {
		if of(other[0]) == of(other[1]) {
			t.Errorf("%s and %s are the same", other[0], other[1])
		}
	}
}

func TestAResultIsOfItsAccountAndItsInput(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	first := events.Action{ActionRef: refOf(ava), ID: "1", Account: "default", Input: json.RawMessage(`{"x":1}`)}
	second, other := first, first
	second.Account, other.Input = "second", json.RawMessage(`{"x":2}`)
	answerRequest(t, q, first, `1`)
	if _, err := q.Bus.ResultOf(t.Context(), second); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("another account: %v, want ErrNotFound", err)
	}
	if _, err := q.Bus.ResultOf(t.Context(), other); !errors.Is(err, events.ErrConflict) {
		t.Errorf("another input: %v, want ErrConflict", err)
	}
	if _, err := q.Bus.RequestAction(bounded(t), other); !errors.Is(err, events.ErrConflict) {
		t.Errorf("requested: %v, want ErrConflict", err)
	}
	answerRequest(t, q, second, `2`)
	for reference, want := range map[[2]string]string{
		{first.Reference(), ""}: `1`, {second.Reference(), ""}: `2`, {"1", ""}: `1`, {"1", "second"}: `2`,
	} {
		if e, err := q.Bus.StoredResult(t.Context(), reference[0], reference[1]); err != nil || string(e.Data()) != want {
			t.Errorf("%v: got %s, %v, want %s", reference, e.Data(), err, want)
		}
	}
}

func TestTimesMayBeInLowerCase(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2026-01-02T03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02t03:04:05.5+01:00"} {
		if _, err := events.ParseTime(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		m := &events.StoredMessage{Subject: "hawser.action.o.a.c.x", Header: events.Header{"ce-hawserdeadline": {text}}}
		n, err := events.NewSubjects("")
		if err != nil {
			t.Fatal(err)
		}
		if a, err := n.ReadAction(m); err != nil || a.Deadline.IsZero() {
			t.Errorf("deadline %s: %v, %v", text, a.Deadline, err)
		}
	}
}
