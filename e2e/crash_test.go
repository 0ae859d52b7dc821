package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestKillNineLosesNothingAcknowledged kills the whole system under load, again
// and again, and then counts: every webhook that was answered 2xx is stored with
// its bytes, every action that was acknowledged has exactly one result.
func TestKillNineLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	h := up(t)
	c := h.connectDemo("organization/org_1")
	acked := &ledger{webhooks: map[string]bool{}, actions: map[string]bool{}}
	const rounds = 3
	for round := range rounds {
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		for worker := range 4 {
			load.Go(func() { h.sendWebhooks(ctx, c.WebhookURL, fmt.Sprintf("r%d-w%d", round, worker), acked) })
			load.Go(func() { h.sendActions(ctx, fmt.Sprintf("r%d-a%d", round, worker), acked) })
		}
		if !acked.reach(t.Context(), (round+1)*60) {
			t.Fatalf("no progress in round %d:\n%s", round, tail(h.log.String()))
		}
		h.kill()
		stop()
		load.Wait()
		h = h.again()
	}

	nc := h.connect()
	bodies := map[string]int{}
	read(t, nc, "HAWSER_WEBHOOKS", func(m jetstream.Msg) { bodies[string(m.Data())]++ })
	for body := range acked.webhooks {
		if bodies[body] != 1 {
			t.Errorf("webhook %s was acknowledged and is stored %d times, want once", body, bodies[body])
		}
	}
	deadline := time.Now().Add(60 * time.Second)
	for stored(t, nc, "HAWSER_ACTIONS", "hawser.action.>") > 0 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	results := map[string]int{}
	read(t, nc, "HAWSER_RESULTS", func(m jetstream.Msg) { results[m.Headers().Get("ce-hawserrequest")]++ })
	for id := range acked.actions {
		if results[id] != 1 {
			t.Errorf("action %s was acknowledged and has %d results, want one", id, results[id])
		}
	}
	t.Logf("%d webhooks and %d actions acknowledged over %d kills", len(acked.webhooks), len(acked.actions), rounds)
}

// ledger is what was acknowledged.
type ledger struct {
	mu                sync.Mutex
	webhooks, actions map[string]bool
}

func (l *ledger) add(to map[string]bool, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to[what] = true
}

// reach waits until both kinds have n entries.
func (l *ledger) reach(ctx context.Context, n int) bool {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		enough := len(l.webhooks) >= n && len(l.actions) >= n
		l.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (h *hawser) sendWebhooks(ctx context.Context, url, name string, acked *ledger) {
	for n := 0; ctx.Err() == nil; n++ {
		body := fmt.Sprintf(`{"delivery":"%s-%d"}`, name, n)
		a, err := send(ctx, "POST", url, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Delivery", fmt.Sprintf("%s-%d", name, n))...)
		if err != nil {
			return // killed
		}
		if a.status/100 == 2 {
			acked.add(acked.webhooks, body)
		}
	}
}

func (h *hawser) sendActions(ctx context.Context, name string, acked *ledger) {
	nc, err := nats.Connect(h.nats, nats.UserCredentials(h.data+"/nats.creds"), nats.NoReconnect())
	if err != nil {
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return
	}
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		msg := nats.NewMsg("hawser.action.organization.org_1.demo-key.postMessage")
		msg.Header.Set("ce-specversion", "1.0")
		msg.Header.Set("ce-id", id)
		msg.Header.Set("ce-type", "t")
		msg.Header.Set("ce-source", "/e2e")
		msg.Data = []byte(`{"text":"` + id + `"}`)
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := js.PublishMsg(ctx, msg)
		cancel()
		if err != nil {
			return // killed
		}
		acked.add(acked.actions, id)
	}
}

// read hands everything that a stream holds to see.
func read(t *testing.T, nc *nats.Conn, stream string, see func(jetstream.Msg)) {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	left := s.CachedInfo().State.Msgs
	consumer, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for left > 0 {
		msg, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
		if err != nil {
			t.Fatalf("read %s, %d messages left: %v", stream, left, err)
		}
		see(msg)
		left--
	}
}

func TestADrainFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	h := up(t)
	h.connectDemo("organization/org_1")
	answers := make(chan answer, 1)
	started := listen(t, h.connect(), "hawser.event.organization.org_1.demo-key.action.started")
	go func() {
		a, err := send(t.Context(), "POST", h.http+"/api/v1/scopes/organization/org_1/connections/demo-key/actions/slow", `{"ms":1500}`, "Authorization", "Bearer "+h.token)
		if err != nil {
			a.body = []byte(err.Error())
		}
		answers <- a
	}()
	started.next()
	h.stop(t)
	if a := <-answers; a.status != http.StatusOK {
		t.Errorf("the action in flight got %d %s, want 200", a.status, a.body)
	}
}
