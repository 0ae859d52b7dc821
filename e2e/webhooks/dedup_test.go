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

// An ingress that did not store the first copy refuses a repetition too, however long
// the names are that it has, and after a restart of the server.
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
			s.Env.Restart(t)
			var late answer
			s.eventually("the stream answers again", func() bool {
				late = s.send(1, "POST", c.WebhookURL, body, signed(signingSecret, body, delivery, time.Now()))
				return late.status != http.StatusServiceUnavailable
			})
			if late.status != http.StatusOK {
				t.Errorf("the late copy got %d %s, want 200", late.status, late.body)
			}
			if got := len(s.messages(events.Webhooks, ">")); got != 1 {
				t.Errorf("the stream holds %d events, want one", got)
			}
		})
	}
}

// A new connection of the same tenant, account and connector has deliveries of its own.
func TestAReconnectDoesNotTakeTheOldConnectionsDeliveriesForItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, probe())
	const body = `{"n":1}`
	for range 2 {
		c := s.connect("org_1", secretConfig)
		if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "1", time.Now())); a.status != http.StatusAccepted {
			t.Errorf("got %d %s, want 202", a.status, a.body)
		}
		s.api("DELETE", "/scopes/organization/org_1/connections/probe", "", http.StatusNoContent, nil)
	}
	if got := len(s.messages(events.Webhooks, ">")); got != 2 {
		t.Errorf("the stream holds %d events, want one of each connection", got)
	}
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
