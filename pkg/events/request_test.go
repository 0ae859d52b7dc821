package events_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// answerRequest stores a result of a, as executors do.
func answerRequest(t testing.TB, q *queue.Queue, a events.Action, data string) {
	t.Helper()
	e := events.New("executor", events.ActionCompleted.Type(), a.Context(), []byte(data))
	// The test may be over with the result, before its ack is here.
	ctx := context.WithoutCancel(t.Context())
	if err := q.Bus.PublishResult(ctx, a, e); err != nil {
		t.Fatalf("store the result of %s: %v", a.ID, err)
	}
}

// answerAll runs an executor that answers every request with its input.
func answerAll(t testing.TB, q *queue.Queue) {
	t.Helper()
	consume(t, q, requests(t, q), func(ctx context.Context, d *events.StoredMessage) error {
		a, err := q.Bus.Subjects.ReadAction(d)
		if err != nil {
			return events.Discard(err)
		}
		if _, err := q.Bus.ResultOf(ctx, a); !errors.Is(err, events.ErrNotFound) {
			return err
		}
		answerRequest(t, q, a, string(a.Input))
		return nil
	})
}

func TestRequestReturnsTheResultOfItsOwnRequest(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	answerAll(t, q)
	for _, tenant := range []events.Tenant{ava, bob} {
		a := events.Action{ActionRef: refOf(tenant), ID: "same", Input: []byte(`{"who":"` + tenant.Identity + `"}`)}
		e, err := q.Bus.RequestAction(bounded(t), a)
		if err != nil || string(e.Data()) != string(a.Input) || events.Extension(e, events.ExtRequest) != "same" {
			t.Errorf("%s: got %s, %v", tenant.Identity, e.Data(), err)
		}
	}
}

func TestARepeatedRequestIsAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	a := request("1")
	answerRequest(t, q, a, `{"data":1}`)
	e, err := q.Bus.RequestAction(bounded(t), a)
	if err != nil || string(e.Data()) != `{"data":1}` {
		t.Errorf("got %s, %v", e.Data(), err)
	}
	if got := state(t, q, events.Actions).Messages; got != 0 {
		t.Errorf("%d requests were stored, want none", got)
	}
}

func TestARequestWhoseTimeIsOverIsPending(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	if err := q.Bus.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		waitFor(t, "the request", func() bool { return state(t, q, events.Actions).Messages == 1 })
		cancel()
	}()
	_, err := q.Bus.RequestAction(ctx, request("1"))
	// Cancelled between the store and its ack, nobody knows.
	if !errors.Is(err, events.ErrPending) && !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("got %v, want ErrPending", err)
	}
	answerAll(t, q)
	reference := events.Reference(refOf(ava), "1")
	waitFor(t, "the result", func() bool { _, err := q.Bus.StoredResult(t.Context(), reference, ""); return err == nil })
}

// Everybody in Hawser's account can publish on the subject of a result.
func TestRequestIgnoresWhatIsNoResult(t *testing.T) {
	t.Parallel()
	env, q := start(t)
	a := request("1")
	nc := env.Conn(t)
	consume(t, q, requests(t, q), func(context.Context, *events.StoredMessage) error {
		early := events.New("executor", events.ActionStarted.Type(), a.Context(), []byte(`{"data":"early"}`))
		// The stream is not to hold it: the first to be stored is the result.
		early.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"99"}
		garbage := events.Header{"Nats-Expected-Last-Subject-Sequence": {"99"}}
		for _, msg := range []*nats.Msg{{Header: garbage, Data: []byte("garbage")}, {Header: early.Header, Data: early.Data}} {
			msg.Subject = q.Bus.Subjects.Result(a.ActionRef, a.ID)
			if err := nc.PublishMsg(msg); err != nil {
				t.Error(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Error(err)
		}
		answerRequest(t, q, a, `{"data":"real"}`)
		return nil
	})
	e, err := q.Bus.RequestAction(bounded(t), a)
	if err != nil || string(e.Data()) != `{"data":"real"}` {
		t.Errorf("got %s, %v, want the result", e.Data(), err)
	}
}

// A result is heard once. Who was away then finds it in the stream.
func TestRequestFindsAResultThatCameWhileItsConnectionWasAway(t *testing.T) {
	t.Parallel()
	env, executor := start(t)
	q, proxy := proxied(t, env)
	type answer struct {
		e   events.Event
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		e, err := q.Bus.RequestAction(bounded(t), request("1"))
		answers <- answer{e, err}
	}()
	waitFor(t, "the request", func() bool { return state(t, executor, events.Actions).Messages == 1 })
	waitFor(t, "its ack", func() bool { return q.Bus.Flush(t.Context()) == nil })
	proxy.Pause()
	answerRequest(t, executor, request("1"), `{"data":1}`)
	proxy.Cut()
	proxy.Resume()
	if got := testenv.Receive(t, "the result", answers); got.err != nil || string(got.e.Data()) != `{"data":1}` {
		t.Errorf("got %s, %v", got.e.Data(), got.err)
	}
}

func TestStoredResultsAreFoundByReferenceAndByBareID(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	answerRequest(t, q, request("once"), `1`)
	for i, tenant := range []events.Tenant{ava, bob} {
		answerRequest(t, q, events.Action{ActionRef: refOf(tenant), ID: "twice"}, []string{`2`, `3`}[i])
	}
	dotted := request("a.b.c.d.e") // looks like a reference
	answerRequest(t, q, dotted, `4`)
	for reference, want := range map[string]string{
		"once":                                  `1`,
		events.Reference(refOf(ava), "once"):    `1`,
		events.Reference(refOf(ava), "twice"):   `2`,
		events.Reference(refOf(bob), "twice"):   `3`,
		"a.b.c.d.e":                             `4`,
		events.Reference(refOf(ava), dotted.ID): `4`,
	} {
		if e, err := q.Bus.StoredResult(t.Context(), reference, ""); err != nil || string(e.Data()) != want {
			t.Errorf("%s: got %s, %v, want %s", reference, e.Data(), err, want)
		}
	}
	for reference, want := range map[string]error{
		"twice": events.ErrAmbiguous, "none": events.ErrNotFound, "": events.ErrNotFound,
		events.Reference(refOf(ava), "none"):    events.ErrNotFound,
		"organization.bob.demo-key.postMessage": events.ErrNotFound,
		// Whoever asks with a wildcard, or worse, must not be handed others' results.
		"organization.bob.demo-key.postMessage.*": events.ErrNotFound,
		"organization.bob.demo-key.postMessage.>": events.ErrNotFound,
		"organization.bob.demo-key.*.twice":       events.ErrNotFound,
		"*":                                       events.ErrNotFound, ">": events.ErrNotFound, "*.*.*.*.*": events.ErrNotFound,
		"organization.bob.demo-key.postMessage.x\r\ny":  events.ErrNotFound,
		"organization.bob.demo-key.postMessage.=h00":    events.ErrNotFound,
		"organization.bob.demo-key.postMessage.=74wice": events.ErrNotFound,
	} {
		if e, err := q.Bus.StoredResult(t.Context(), reference, ""); !errors.Is(err, want) {
			t.Errorf("%q: got %s, %v, want %v", reference, e.Data(), err, want)
		}
	}
}

func TestAResultIsOfOneRequestOfOneTenant(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	answerRequest(t, q, request("1"), `1`)
	for _, c := range []struct {
		tenant events.Tenant
		id     string
		want   bool
	}{{ava, "1", true}, {ava, "2", false}, {bob, "1", false}} {
		e, err := q.Bus.ResultOf(t.Context(), events.Action{ActionRef: refOf(c.tenant), ID: c.id, Input: request("1").Input})
		if found := err == nil && string(e.Data()) == `1`; found != c.want || !found && !errors.Is(err, events.ErrNotFound) {
			t.Errorf("ResultOf %+v: got %s, %v", c, e.Data(), err)
		}
	}
}

func TestManyRequestsAtOnceGetTheirOwnResults(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	answerAll(t, q)
	const n = 100
	failures := make(chan error, n)
	for range n {
		go func() {
			a := request(events.NewID())
			a.Input = []byte(`"` + a.ID + `"`)
			e, err := q.Bus.RequestAction(bounded(t), a)
			if err == nil && string(e.Data()) != string(a.Input) {
				err = errors.New("the result of another request")
			}
			failures <- err
		}()
	}
	for range n {
		if err := testenv.Receive(t, "a result", failures); err != nil {
			t.Error(err)
		}
	}
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
}

func TestADeadlineInThePastIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	began := time.Now()
	if _, err := q.Bus.RequestAction(ctx, request("1")); err == nil || time.Since(began) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}
