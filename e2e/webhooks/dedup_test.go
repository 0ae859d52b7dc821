package webhooks_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

const secretConfig = `{"webhookSecret":"` + signingSecret + `"}`

func TestFiftyCopiesAtOnceOnThreeIngressesAreOneEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingresses: 3}, probe())
	c := s.connect("org_1", secretConfig)
	const body = `{"n":1}`
	var all sync.WaitGroup
	statuses := make([]int, 50)
	for n := range statuses {
		all.Go(func() {
			statuses[n] = s.send(n%3, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())).status
		})
	}
	all.Wait()
	accepted := 0
	for _, status := range statuses {
		if status/100 != 2 {
			t.Errorf("a copy was answered %d, want a success", status)
		}
		if status == http.StatusAccepted {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d copies were answered 202, want one", accepted)
	}
	if got := len(s.messages(events.Webhooks, ">")); got != 1 {
		t.Errorf("the stream holds %d events, want one", got)
	}
}

func TestCopiesToOneIngressAreHeardOnceByLiveSubscribers(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	live := make(chan *nats.Msg, 64)
	_, err := s.js.Conn().ChanSubscribe("hawser.webhook.>", live)
	must(t, err)
	must(t, s.js.Conn().Flush())
	const body = `{}`
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now()))
		})
	}
	all.Wait()
	must(t, s.js.Conn().Flush())
	if len(live) != 1 {
		t.Errorf("live subscribers heard %d messages, want one", len(live))
	}
}

// What the stream has forgotten, and a process that never saw the delivery has
// not known, is still no second event, however long the names are that it has.
func TestALateRetryToAnotherIngressIsNoSecondEvent(t *testing.T) {
	t.Parallel()
	for org, delivery := range map[string]string{"org_1": "evt_1", strings.Repeat("ä", 60): strings.Repeat(".", 128)} {
		t.Run(fmt.Sprint(len(org)), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, siteOptions{ingresses: 2}, probe())
			c := s.connect(url.PathEscape(org), secretConfig)
			const body = `{"n":1}`
			first := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, delivery, time.Now()))
			if first.status != http.StatusAccepted {
				t.Fatalf("got %d %s", first.status, first.body)
			}
			s.eventually("the delivery is remembered", func() bool {
				n := 0
				for range s.buckets.Dedup.List(t.Context(), ">") {
					n++
				}
				return n == 1
			})
			s.forget()
			if late := s.send(1, "POST", c.WebhookURL, body, signed(signingSecret, body, delivery, time.Now())); late.status != http.StatusOK {
				t.Errorf("the late copy got %d %s, want 200", late.status, late.body)
			}
			if got := len(s.messages(events.Webhooks, ">")); got != 0 {
				t.Errorf("the late copy was stored: %d events", got)
			}
		})
	}
}

// forget makes the stream forget: its window is over as if ten minutes had passed.
func (s *site) forget() {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), s.bus.Stream(events.Webhooks))
	must(s.t, err)
	config := stream.CachedInfo().Config
	config.Duplicates = 100 * time.Millisecond
	_, err = s.js.UpdateStream(s.t.Context(), config)
	must(s.t, err)
	mark := func() bool {
		ack, err := s.js.Publish(s.t.Context(), "hawser.webhook.organization.nobody.probe.mark", nil, jetstream.WithMsgID("mark"))
		must(s.t, err)
		return !ack.Duplicate
	}
	mark()
	s.eventually("what came before is forgotten", mark)
	must(s.t, stream.Purge(s.t.Context()))
}

func TestTwoTenantsMayUseTheSameDeliveryID(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, probe())
	const body = `{}`
	for n := range 2 {
		c := s.connect(fmt.Sprintf("org_%d", n), secretConfig)
		if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != http.StatusAccepted {
			t.Errorf("tenant %d got %d %s, want 202", n, a.status, a.body)
		}
	}
}

// BenchmarkWebhook is the whole path: HTTP, signature, memories, stream, ack.
func BenchmarkWebhook(b *testing.B) {
	s := newSite(b, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	body := `{"pad":"` + fmt.Sprintf("%01000d", 0) + `"}`
	now := time.Now()
	var next count
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, fmt.Sprintf("evt_%d", next.Add(1)), now)); a.status != http.StatusAccepted {
				b.Errorf("got %d %s", a.status, a.body)
				return
			}
		}
	})
}
