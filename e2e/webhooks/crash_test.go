package webhooks_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/pkg/events"
)

// After an executor is killed in a handler, another executor processes the
// delivery. webhook.processed is published once.
func TestADeliveryIsProcessedByAnotherExecutorAfterAKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, withHandler(0, nil))
	c := s.connect("org_1", secretConfig)
	stuck := s.start("stuck")
	const body = `{"n":1}`
	if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != http.StatusAccepted {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	s.eventually("the handler runs", func() bool { return stuck.line("handling evt_1 1") != "" })
	other := s.start("executor")
	stuck.kill()
	s.shortenAckWait(events.Webhooks)
	processed := func() int { return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.processed")) }
	s.eventually("another has processed it", func() bool { return processed() > 0 })
	if other.line("handled evt_1") == "" {
		t.Errorf("the other executor says %s", other.text())
	}
	// A second event could come only from a message that is still pending.
	s.eventually("nothing is left to do", func() bool {
		info, err := s.js.Stream(t.Context(), s.Bus.Subjects.StreamName(events.Webhooks))
		must(t, err)
		pending := 0
		for consumer := range info.ListConsumers(t.Context()).Info() {
			pending += consumer.NumAckPending + int(consumer.NumPending)
		}
		return pending == 0
	})
	if got := processed(); got != 1 {
		t.Errorf("webhook.processed was announced %d times, want once", got)
	}
	for kind, want := range map[string]int{"received": 1, "failed": 0} {
		if got := len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook."+kind)); got != want {
			t.Errorf("webhook.%s was announced %d times, want %d", kind, got, want)
		}
	}
}

// shortenAckWait sets the consumers' ack wait to one second, so that messages of a
// killed process are redelivered soon.
func (s *site) shortenAckWait(stream events.Stream) {
	s.t.Helper()
	all, err := s.js.Stream(s.t.Context(), s.Bus.Subjects.StreamName(stream))
	must(s.t, err)
	for consumer := range all.ListConsumers(s.t.Context()).Info() {
		config := consumer.Config
		config.AckWait = time.Second
		_, err := all.UpdateConsumer(s.t.Context(), config)
		must(s.t, err)
	}
}

// balancer chooses among ingresses at random, without health checks.
type balancer struct {
	mu   sync.Mutex
	urls []string
}

func (b *balancer) any() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.urls[rand.IntN(len(b.urls))]
}

func (b *balancer) set(n int, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.urls[n] = url
}

// Three ingresses are killed at random times under load, while senders repeat what
// was not acknowledged. Every delivery is stored exactly once, byte for byte.
func TestIngressesKilledUnderLoadLoseNothingAndStoreNothingTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, probe())
	c := s.connect("org_1", secretConfig)
	const ingresses, senders, kills = 3, 8, 6
	all, running := &balancer{urls: make([]string, ingresses)}, make([]*program, ingresses)
	for n := range running {
		running[n] = s.start("ingress")
		all.set(n, running[n].url)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load errgroup.Group
	var repeats atomic.Int64
	acked := make([]map[string]bool, senders)
	for sender := range senders {
		acked[sender] = map[string]bool{}
		load.Go(func() error {
			for n := 0; ctx.Err() == nil; n++ {
				body := fmt.Sprintf(`{"sender":%d,"n":%d,"pad":"%s"}`, sender, n, strings.Repeat("x", 512))
				id := fmt.Sprintf("evt_%d_%d", sender, n)
				if n%3 == 0 {
					id = "" // recognised by body and timestamp
				}
				if err := all.sendUntilAcknowledged(t.Context(), c.WebhookURL, body, signed(signingSecret, body, id, time.Now()), &repeats); err != nil {
					return err
				}
				acked[sender][body] = true
			}
			return nil
		})
	}
	for kill := range kills {
		pause := time.NewTimer(rand.N(300 * time.Millisecond))
		<-pause.C
		n := kill % ingresses
		running[n].kill()
		running[n] = s.start("ingress")
		all.set(n, running[n].url)
	}
	stop()
	if err := load.Wait(); err != nil {
		t.Fatal(err)
	}
	total := 0
	stored := map[string]int{}
	for _, m := range s.messages(events.Webhooks, ">") {
		stored[string(m.Data)]++
	}
	for _, bodies := range acked {
		total += len(bodies)
		for body := range bodies {
			if stored[body] != 1 {
				t.Errorf("%.40s was acknowledged and is stored %d times, want once", body, stored[body])
			}
			delete(stored, body)
		}
	}
	for body := range stored {
		t.Errorf("%.60s was never sent", body)
	}
	s.eventually("each was announced", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.received")) >= total
	})
	if got := len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.received")); got != total {
		t.Errorf("%d were announced, want %d", got, total)
	}
	if repeats.Load() == 0 {
		t.Error("no delivery had to be repeated: nothing was killed under load")
	}
	t.Logf("%d deliveries, %d repetitions, %d kills", total, repeats.Load(), kills)
}

// sendUntilAcknowledged repeats a delivery, with its first signature, until it is
// acknowledged.
func (b *balancer) sendUntilAcknowledged(ctx context.Context, url, body string, header http.Header, repeats *atomic.Int64) error {
	path := strings.TrimPrefix(url, baseURL)
	if !strings.HasPrefix(path, ingress.DefaultBasePath) {
		return fmt.Errorf("%s is no webhook", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, "POST", b.any()+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header = header.Clone()
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode/100 == 2 {
				return nil
			}
			if resp.StatusCode < 500 {
				return fmt.Errorf("%.40s got %s, which a provider takes as final", body, resp.Status)
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%.40s was not acknowledged within a minute: %w", body, ctx.Err())
		}
		repeats.Add(1)
	}
}
