package webhooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// What is known of a connection's webhooks is written apart from its credentials:
// its record stays at its revision, whatever becomes of deliveries.
func TestStatusIsWrittenApartFromTheCredentials(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, withHandler(1, func(_ context.Context, _ *connectors.Call, d *connectors.Delivery) error {
		if strings.Contains(string(d.Body), "bad") {
			return connectors.Permanent(errors.New("no"))
		}
		return nil
	}))
	c := s.connect("org_1", secretConfig)
	key := records.NewRef(events.Tenant{Scope: "organization", Identity: "org_1"}, "probe", "").Key()
	before, err := s.Buckets.Connections.Get(t.Context(), key)
	must(t, err)
	last := func() (outcome struct{ Result, Code string }) {
		var view struct {
			Status struct {
				LastWebhook json.RawMessage `json:"last_webhook"`
			}
		}
		s.api("GET", ofOrg1, "", http.StatusOK, &view)
		_ = json.Unmarshal(view.Status.LastWebhook, &outcome) // none yet
		return outcome
	}
	for _, step := range []struct{ body, secret, result, code string }{
		{`{"n":1}`, signingSecret, "success", ""},
		{`{"n":2}`, "wrong", "error", "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		{`{"n":3}`, signingSecret, "success", ""},
		{`{"bad":1}`, signingSecret, "error", "CONNECTOR_ACTION_FAILED"},
	} {
		s.send(0, "POST", c.WebhookURL, step.body, signed(step.secret, step.body, "evt_"+step.body, time.Now()))
		s.eventually(step.body+" is the last that is known", func() bool { o := last(); return o.Result == step.result && o.Code == step.code })
	}
	after, err := s.Buckets.Connections.Get(t.Context(), key)
	must(t, err)
	if after.Revision != before.Revision {
		t.Errorf("the record is at revision %d, and was at %d", after.Revision, before.Revision)
	}
}

// A webhook without signatures is taken where its connector says so, and never in
// silence: the event says it, and the metric counts it.
func TestUnsignedWebhooksAreCounted(t *testing.T) {
	t.Parallel()
	c := probe()
	c.Webhook.Verify, c.Webhook.SecretField = []webhooks.Verification{{Scheme: webhooks.SchemeUnsigned}}, ""
	s := newSite(t, siteOptions{}, c)
	conn := s.connect("org_1", `{}`)
	for _, id := range []string{"evt_1", "evt_2"} {
		if a := s.send(0, "POST", conn.WebhookURL, `{}`, http.Header{"X-Delivery": {id}}); a.status != http.StatusAccepted {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if counted := s.counter("hawser_webhooks_unsigned_total"); counted != 2 {
		t.Errorf("the metric counts %v, want 2", counted)
	}
	s.eventually("both are announced", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.received")) == 2
	})
	for _, m := range s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.received") {
		if !strings.Contains(string(m.Data), `"verified":false`) {
			t.Errorf("the event says %s", m.Data)
		}
	}
	if got := s.messages(events.Webhooks, ">")[0].Header.Get("ce-hawserverified"); got != "false" {
		t.Errorf("the stored event says verified %q", got)
	}
}

// counter is a metric without labels of the first ingress.
func (s *site) counter(name string) float64 {
	s.t.Helper()
	families, err := s.Metrics.Gather()
	must(s.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

// Whoever sends forgeries fills neither the quarantine nor the stream of events:
// what is kept is bounded, and what is not is counted.
func TestEvidenceOfForgeriesIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	const forgeries, senders = 600, 12
	began := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range forgeries / senders {
				if a := s.send(0, "POST", c.WebhookURL, `{}`, signed("wrong", `{}`, "", time.Now())); a.status != http.StatusUnauthorized {
					t.Errorf("a forgery got %d %s", a.status, a.body)
				}
			}
		})
	}
	all.Wait()
	kept, dropped := len(s.messages(events.Quarantine, ">")), s.counter("hawser_webhook_evidence_dropped_total")
	if most := 100 + int(10*time.Since(began).Seconds()) + 1; kept > most || kept < 100 {
		t.Errorf("evidence of %d forgeries is kept, want 100 to %d", kept, most)
	}
	if kept+int(dropped) != forgeries {
		t.Errorf("%d are kept and %v counted, want %d together", kept, dropped, forgeries)
	}
	must(t, s.js.Conn().FlushTimeout(30*time.Second))
	if published, limit := len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.rejected")), 100+int(50*time.Since(began).Seconds())+1; published > limit {
		t.Errorf("%d refusals were published, want %d at most", published, limit)
	}
}
