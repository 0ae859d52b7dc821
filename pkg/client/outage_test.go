package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestACallHearsOfAResultThatCameWhileItWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := testenv.NewProxy(t, w.URL())
	away := make(chan struct{}, 2) // also sent when the test closes the connection
	nc, err := nats.Connect(proxy.URL(), nats.UserCredentials(w.Server().CredsPath()), nats.MaxReconnects(-1),
		nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(time.Minute),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { away <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	requests, err := w.nc.SubscribeSync("hawser.action.>")
	if err == nil {
		err = w.nc.Flush() // the call comes by another connection
	}
	if err != nil {
		t.Fatal(err)
	}
	say := newClient(t, nc, nil).Scope("organization", "o").Action("echo", "say")
	type answer struct {
		said said
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		got, err := client.Call[said](t.Context(), say, said{"hi"})
		answers <- answer{got, err}
	}()
	request, err := requests.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for nc.Stats().InMsgs == 0 { // the first message that it gets is the ack
		if err := w.bus.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	id := request.Header.Get("ce-id")

	proxy.Pause()
	proxy.Cut()
	<-away
	w.result(t, "o", id, events.ActionCompleted)
	proxy.Resume()
	if got := <-answers; got.err != nil || got.said.Text != id {
		t.Errorf("call = %+v, %v, want the result that was missed", got.said, got.err)
	}
}

func TestACallIgnoresGarbageOnTheSubjectOfItsResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.requests(t, func(a *events.Action) error {
		subject := w.bus.Subjects.Result(a.ActionRef, a.ID)
		answer := events.New("test", events.ActionCompleted.Type(), a.Context(), []byte(`{"data":{"text":"real"}}`))
		for _, msg := range []*nats.Msg{
			{Subject: subject, Data: []byte("garbage")},
			{Subject: subject, Data: []byte(`{}`), Header: nats.Header{"ce-specversion": {"1.0"}, "ce-type": {"hawser.action.completed"}}},
			{Subject: subject, Data: answer.Data, Header: answer.Header},
		} {
			if err := w.nc.PublishMsg(msg); err != nil {
				return err
			}
		}
		return nil
	})
	tenant := newClient(t, w.TenantConn(t, "organization", "o"), &client.Options{Tenant: true})
	for name, c := range map[string]*client.Client{"operator": w.client(t, nil), "tenant": tenant} {
		say := c.Scope("organization", "o").Action("echo", "say")
		if got, err := client.Call[said](t.Context(), say, said{"hi"}); err != nil || got.Text != "real" {
			t.Errorf("%s: call = %+v, %v, want the result among the garbage", name, got, err)
		}
	}
}

func TestACallWhoseContextEndsBeforeTheAckSaysThatNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := testenv.NewProxy(t, w.URL())
	nc, err := nats.Connect(proxy.URL(), nats.UserCredentials(w.Server().CredsPath()))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = newClient(t, nc, nil).Scope("organization", "o").Action("echo", "say").Call(ctx, said{"hi"})
	pending, ok := errors.AsType[*client.PendingError](err)
	if !ok || pending.Stored || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a request of which nobody knows, and the end of the ctx", err)
	}
}
