package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// abandon has a consumer deliver every message once and give up on it, as it does with
// messages whose acknowledgements a server lost.
func abandon(t *testing.T, q *queue.Queue, c events.Consumer, messages int) {
	t.Helper()
	once := c
	once.MaxDeliver, once.AckWait = 1, 50*time.Millisecond
	delivered := make(chan struct{}, messages)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error)
	go func() {
		done <- q.Bus.Consume(ctx, ctx, once, func(context.Context, *events.StoredMessage) error {
			delivered <- struct{}{}
			return errors.New("no ack")
		})
	}()
	for range messages {
		testenv.Receive(t, "a delivery", delivered)
	}
	testenv.Eventually(t, "the consumer has passed the messages", func() bool {
		consumer, err := q.Bus.JetStream().Consumer(t.Context(), q.Bus.Subjects.StreamName(c.Stream), c.Name)
		testenv.Must(t, err)
		return consumer.CachedInfo().NumAckPending == 0
	})
	stop()
	testenv.Must(t, <-done)
}

func TestAMessageBelowTheAckFloorIsFound(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := events.Consumer{Name: "c", Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter(request("1").Connector), MaxConcurrent: 1}
	for _, id := range []string{"1", "2"} {
		testenv.Must(t, q.Bus.PublishAction(t.Context(), request(id)))
	}
	orphans := queue.NewOrphans(q.Streams, time.Millisecond)
	if found, err := orphans.Find(t.Context(), c); err != nil || len(found) != 0 {
		t.Fatalf("without a consumer: %d, %v", len(found), err)
	}
	abandon(t, q, c, 2)
	if found, err := orphans.Find(t.Context(), c); err != nil || len(found) != 0 {
		t.Fatalf("at the first look: %d, %v", len(found), err)
	}
	time.Sleep(2 * time.Millisecond)
	found, err := orphans.Find(t.Context(), c)
	if err != nil || len(found) != 2 {
		t.Fatalf("got %d messages, %v, want both", len(found), err)
	}
}

// A consumer that is ahead of a stream that lost its end would skip what is stored next.
func TestAConsumerAheadOfItsStreamIsRestarted(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := events.Consumer{Name: "c", Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter(request("1").Connector), MaxConcurrent: 1}
	testenv.Must(t, q.Bus.EnsureConsumer(t.Context(), c))
	_, err := q.Bus.JetStream().Conn().RequestWithContext(t.Context(), "$JS.API.CONSUMER.RESET.HAWSER_ACTIONS.c", []byte(`{"seq":100}`))
	testenv.Must(t, err)
	got := make(chan string, 1)
	testenv.Consume(t, q, c, func(_ context.Context, m *events.StoredMessage) error { got <- m.ID(); return nil })
	orphans := queue.NewOrphans(q.Streams, time.Millisecond)
	testenv.Eventually(t, "the consumer is restarted", func() bool {
		restarted, err := orphans.Restart(t.Context(), c)
		testenv.Must(t, err)
		return restarted
	})
	testenv.Must(t, q.Bus.PublishAction(t.Context(), request("after")))
	if id := testenv.Receive(t, "the request", got); id != "after" {
		t.Errorf("got %s", id)
	}
	time.Sleep(2 * time.Millisecond)
	if restarted, err := orphans.Restart(t.Context(), c); restarted || err != nil {
		t.Errorf("a consumer that works: restarted %v, %v", restarted, err)
	}
}

func TestMissingSaysWhatAStreamHasLost(t *testing.T) {
	t.Parallel()
	now := time.Now()
	was := queue.Mark{First: 10, Last: 20, Oldest: now.Add(-time.Hour), MaxAge: 2 * time.Hour}
	for name, test := range map[string]struct {
		is   queue.Mark
		lost bool
	}{
		"more":                 {queue.Mark{First: 10, Last: 30, MaxAge: 2 * time.Hour}, false},
		"the end":              {queue.Mark{First: 10, Last: 19, MaxAge: 2 * time.Hour}, true},
		"the beginning":        {queue.Mark{First: 15, Last: 30, MaxAge: 2 * time.Hour}, true},
		"expired by new limit": {queue.Mark{First: 15, Last: 30, MaxAge: time.Minute}, false},
		"the middle":           {queue.Mark{First: 10, Last: 30, Deleted: 3, MaxAge: 2 * time.Hour}, true},
	} {
		if got := queue.Missing(map[string]queue.Mark{"S": was}, map[string]queue.Mark{"S": test.is}, now); len(got) > 0 != test.lost {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := queue.Missing(map[string]queue.Mark{"S": was}, nil, now); len(got) != 1 {
		t.Errorf("a stream that is gone: %q", got)
	}
}
