package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAReplayBeginsInThePastAndGoesOnWithoutGapsOverARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want, got []string
	for range 150 { // more than a batch
		want = append(want, w.webhook(t, "o", "x"))
		w.webhook(t, "other", "x")
	}
	interrupted := make(chan error, 100)
	heard := on(t, w.client(t, nil).Scope("organization", "o"), client.Filter{Topic: client.Webhooks}, &client.OnOptions{
		Since: time.Unix(0, 0), OnError: func(err error) { interrupted <- err },
	})
	last := uint64(0)
	take := func(n int) {
		for range n {
			e := next(t, heard)
			if e.Sequence <= last {
				t.Fatalf("heard sequence %d after %d", e.Sequence, last)
			}
			last = e.Sequence
			got = append(got, e.ID())
		}
	}
	take(150)
	want = append(want, w.webhook(t, "o", "live"))
	take(1)
	w.Restart(t)
	for range 50 {
		want = append(want, w.webhook(t, "o", "later"))
	}
	take(50)
	if !slices.Equal(got, want) {
		t.Errorf("heard %d events, want those %d that were published, in order", len(got), len(want))
	}
	if len(interrupted) == 0 {
		t.Error("the interruption was not reported")
	}
}

func TestAReplayKnowsFromWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.webhook(t, "o", "x")
	old, err := w.queue.Streams.First(t.Context(), events.Webhooks, 1, w.bus.Subjects.Webhooks())
	if err != nil {
		t.Fatal(err)
	}
	want := w.webhook(t, "o", "x")
	since := &client.OnOptions{Since: old.Stored.Add(1)}
	org := w.client(t, nil).Scope("organization", "o")
	if got := next(t, on(t, org, client.Filter{Topic: client.Webhooks}, since)); got.ID() != want {
		t.Errorf("a replay began with %s, want %s", got.ID(), want)
	}
	since.Durable = "mine"
	if got := next(t, on(t, org, client.Filter{Topic: client.Webhooks}, since)); got.ID() != want {
		t.Errorf("a durable subscription began with %s, want %s", got.ID(), want)
	}
}

func TestAReplayLeavesNoConsumerBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unsubscribe, err := w.client(t, nil).On(t.Context(), client.Filter{}, nil, &client.OnOptions{Since: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	unsubscribe()
	stream, err := w.bus.JetStream().Stream(t.Context(), "HAWSER_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers are left", n)
	}
}

func TestAReplayCanBeEndedWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	errs := make(chan error, 100)
	unsubscribe, err := w.client(t, nil).On(t.Context(), client.Filter{}, nil, &client.OnOptions{
		Since: time.Unix(0, 0), OnError: func(err error) { errs <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	<-errs
	began := time.Now()
	unsubscribe()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("unsubscribe took %v", took)
	}
}

func TestADurableSubscriptionRemembersAndHandsOutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(t, &client.Options{OnError: func(error) {}})
	org := c.Scope("organization", "o")
	want := w.webhook(t, "o", "before")
	durable := &client.OnOptions{Durable: "my reader"}
	filter := client.Filter{Topic: client.Webhooks, Connector: "echo"}

	seen := make(chan string, 10)
	unsubscribe, err := org.On(t.Context(), filter, func(_ context.Context, e *client.Event) error {
		seen <- fmt.Sprint(e.Attempt, e.ID() == want)
		switch e.Attempt {
		case 1:
			return events.RetryIn(time.Millisecond, errors.New("not yet"))
		case 2:
			panic("not yet either")
		}
		return nil
	}, durable)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 true", "2 true", "3 true"} {
		if got := <-seen; got != want {
			t.Errorf("attempt and event = %s, want %s", got, want)
		}
	}
	unsubscribe()

	// While nobody is there.
	want = w.webhook(t, "o", "between")
	if err := w.nc.Publish("hawser.webhook.organization.o.echo.garbage.d", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	w.webhook(t, "other", "between")
	last := w.webhook(t, "o", "after")
	heard := on(t, org, filter, durable)
	for _, want := range []string{want, last} {
		if e := next(t, heard); e.ID() != want || e.Attempt != 1 {
			t.Errorf("heard %s, attempt %d, want %s", e.ID(), e.Attempt, want)
		}
	}
	consumer, err := w.bus.JetStream().Consumer(t.Context(), "HAWSER_WEBHOOKS", "client-my=20reader")
	if err != nil {
		t.Fatal(err)
	}
	for info := consumer.CachedInfo(); info.NumAckPending+int(info.NumPending) > 0; {
		if info, err = consumer.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
