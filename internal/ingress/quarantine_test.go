package ingress_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// counted sums the values of a counter.
func counted(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// limitedQuarantine is an ingress with a quarantine of so many bytes.
func limitedQuarantine(t *testing.T, maxBytes int64) (*site, *prometheus.Registry) {
	t.Helper()
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "")}, BaseURL: "https://hooks.example.test"})
	if _, err := n.Queue.Ensure(t.Context(), queue.Topology{EvidenceMaxBytes: maxBytes}); err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	return &site{n, n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test", Metrics: metrics})}, metrics
}

func TestEvidenceOfRejectionsFillsHalfOfTheQuarantine(t *testing.T) {
	t.Parallel()
	s, metrics := limitedQuarantine(t, 64<<10)
	path := s.connect(t, "probe")
	s.Publish(t, "hawser.quarantine.probe.signature", nil, strings.Repeat("x", 33<<10))
	if r := s.do(t, "POST", path, `{}`, "Authorization", ""); r.status != http.StatusUnauthorized {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := counted(t, metrics, "hawser_webhook_evidence_dropped_total"); got != 1 {
		t.Errorf("%v were dropped, want one", got)
	}
	s.toggle(t)
	r := s.deliver(t, path, "d1", `{}`)
	if r.status != http.StatusAccepted || r.header.Get("Hawser-Quarantined") != "true" {
		t.Errorf("a verified delivery: %d %s", r.status, r.body)
	}
	if list := s.do(t, "GET", "/api/v1/quarantine", ""); !strings.Contains(list.body, `"request_id":"`+r.header.Get("X-Request-Id")+`"`) {
		t.Errorf("answered as %s, listed as %s", r.header.Get("X-Request-Id"), list.body)
	}
	if got := counted(t, metrics, "hawser_webhooks_quarantined_total"); got != 1 {
		t.Errorf("%v are counted as put into quarantine, want one", got)
	}
}

func TestADeliveryThatTheQuarantineRefusesIsNotCounted(t *testing.T) {
	t.Parallel()
	s, metrics := limitedQuarantine(t, 2<<10)
	path := s.connect(t, "probe")
	s.toggle(t)
	if r := s.deliverOnce(t, path, "d1", strings.Repeat("x", 4<<10)); r.status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s, want 503", r.status, r.body)
	}
	if got := counted(t, metrics, "hawser_webhooks_quarantined_total"); got != 0 {
		t.Errorf("%v are counted as put into quarantine, want none", got)
	}
}

func TestCopiesAtTwoIngressesAreQuarantinedOnce(t *testing.T) {
	t.Parallel()
	s, _ := limitedQuarantine(t, 1<<20)
	path := s.connect(t, "probe")
	s.toggle(t)
	other := &site{s.Node, s.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test"})}
	for _, at := range []*site{s, other} {
		if r := at.deliver(t, path, "d1", `{}`); r.status >= 300 || r.header.Get("Hawser-Quarantined") != "true" {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if n := s.Count(t, events.Quarantine, ">"); n != 1 {
		t.Errorf("%d are in quarantine, want one", n)
	}
}
