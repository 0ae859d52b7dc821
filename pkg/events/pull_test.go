package events_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// A tenant publishes on its own subjects whatever it likes. A message without
// data and with the headers of the server's own words must be a message like any
// other: taken for such a word, it would hold up everybody's.
func TestATenantsMessageIsNeverTakenForTheServersWord(t *testing.T) {
	t.Parallel()
	env, q := start(t)
	nc := env.Conn(t)
	forged := []nats.Header{}
	for _, status := range []string{"100", "400", "404", "408", "409", "423", "503", "", "made up"} {
		for _, description := range []string{"", "Consumer Deleted", "Batch Completed", "Server Shutdown", "Leadership Change", "Message Size Exceeds MaxBytes"} {
			forged = append(forged, nats.Header{"Status": {status}, "Description": {description}})
		}
	}
	forged = append(forged,
		nats.Header{"Nats-Pin-Id": {"stolen"}},
		nats.Header{"Status": {"100"}, "Nats-Consumer-Stalled": {"$JS.FC.x"}, "Nats-Last-Consumer": {"9"}},
		nats.Header{"Nats-Pending-Messages": {"x"}, "Nats-Pending-Bytes": {"y"}, "Status": {"409"}})
	subject := q.Bus.Subjects.Action(request("x").ActionRef)
	for round := range 2 {
		for _, h := range forged {
			m := &nats.Msg{Subject: subject, Header: h}
			if round == 1 {
				m.Data = []byte(`{}`)
			}
			if err := nc.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all of them stored", func() bool { return state(t, q, events.Actions).Messages == uint64(2*len(forged)) })
	var handed atomic.Int32
	began := time.Now()
	consume(t, q, requests(t, q), func(_ context.Context, d *events.StoredMessage) error {
		if d.NumDelivered != 1 {
			t.Errorf("message %d was handed out %d times", d.Sequence, d.NumDelivered)
		}
		handed.Add(1)
		return nil
	})
	waitFor(t, "an empty queue", func() bool { return state(t, q, events.Actions).Messages == 0 })
	if took := time.Since(began); took > 2*time.Second || int(handed.Load()) != 2*len(forged) {
		t.Errorf("%d of %d messages in %v", handed.Load(), 2*len(forged), took)
	}
}

// Consume ends when its ctx ends, also if the server hangs.
func TestConsumeEndsThoughItsServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	env, _ := start(t)
	q, proxy := proxied(t, env)
	ctx, stop := context.WithCancel(t.Context())
	got, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- q.Bus.Consume(ctx, t.Context(), requests(t, q), func(_ context.Context, d *events.StoredMessage) error { got <- d.Subject; return nil })
	}()
	publishAction(t, q, request("1"))
	testenv.Receive(t, "the request", got)
	proxy.Pause()
	defer proxy.Resume()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(8 * time.Second):
		t.Error("still not ended")
	}
}
