package ingress_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func isUnavailable(t *testing.T, what string, r reply, began time.Time) {
	t.Helper()
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || r.code() != "CONNECTOR_DATABASE_FAILED" {
		t.Errorf("%s: %d %s, Retry-After %q, want 503 and a time", what, r.status, r.body, r.header.Get("Retry-After"))
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("%s: answered after %v, want 2 s at most", what, took)
	}
}

func TestWithoutNATSRequestsAreRefusedAndServedAgainAfterwards(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{Timeout: events.DefaultPublishTimeout, Connectors: []connectors.Connector{testenv.Probe("probe", "")}, BaseURL: "https://hooks.example.test"})
	s := &site{n, n.StartIngress(t, nil)}
	path := s.connect(t, "probe")
	if r := s.deliver(t, path, "before", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := s.Env.Stop(); err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() reply{
		"a webhook":          func() reply { return s.deliverOnce(t, path, "during", "{}") },
		"an unknown webhook": func() reply { return s.deliverOnce(t, path+"x", "during", "{}") },
		"an action":          func() reply { return s.do(t, "POST", ofAva+"/probe/actions/noop", "{}") },
		"a list":             func() reply { return s.do(t, "GET", ofAva, "") },
		"a change":           func() reply { return s.do(t, "POST", ofAva+"/probe/toggle", "") },
		"a result":           func() reply { return s.do(t, "GET", "/api/v1/results/x", "") },
		"an unknown token":   func() reply { return s.do(t, "GET", ofAva, "", "Authorization", "Bearer hwt_unknown") },
	} {
		began := time.Now()
		isUnavailable(t, what, ask(), began)
	}
	s.Env.Restart(t)
	testenv.Eventually(t, "webhooks are accepted again", func() bool {
		return s.deliver(t, path, "during", "{}").status/100 == 2
	})
	testenv.Eventually(t, "operations work again", func() bool { return s.do(t, "GET", ofAva, "").status == http.StatusOK })
	if got := s.Count(t, events.Webhooks, ">"); got != 2 {
		t.Errorf("%d webhooks are stored, want 2: the one before, and the one that was sent until it was accepted", got)
	}
}

func TestRequestsAreRefusedInTimeWhileNATSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	proxy := testenv.NewProxy(t, env.URL())
	nc, err := nats.Connect(proxy.URL(), append(events.ConnectOptions("test"), nats.UserCredentials(env.Server().CredsPath()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	q, err := queue.New(nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Env: env, Queue: q, Timeout: events.DefaultPublishTimeout, Connectors: []connectors.Connector{testenv.Probe("probe", "")}, BaseURL: "https://hooks.example.test"})
	s := &site{n, n.StartIngress(t, &ingress.Options{})}
	path := s.connect(t, "probe")
	if r := s.deliver(t, path, "before", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	proxy.Pause()
	began := time.Now()
	isUnavailable(t, "a webhook of a known connection", s.deliverOnce(t, path, "during", "{}"), began)
	began = time.Now()
	isUnavailable(t, "a webhook of an unknown one", s.deliverOnce(t, path+"x", "during", "{}"), began)
	proxy.Resume()
	testenv.Eventually(t, "webhooks are accepted again", func() bool { return s.deliver(t, path, "during", "{}").status/100 == 2 })
	if got := n.Count(t, events.Webhooks, ">"); got != 2 {
		t.Errorf("%d webhooks are stored, want 2", got)
	}
}

func TestAFullStreamRefusesWebhooksAndDropsNone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	stream, err := s.Bus.JetStream().Stream(t.Context(), "HAWSER_WEBHOOKS")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxBytes = 20 << 10
	if _, err := s.Bus.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for i := range 10 {
		began := time.Now()
		r := s.deliverOnce(t, path, string(rune('a'+i)), strings.Repeat("x", 4<<10))
		if r.status == http.StatusAccepted {
			accepted++
			continue
		}
		isUnavailable(t, "with a full stream", r, began)
	}
	if got := s.Count(t, events.Webhooks, ">"); accepted == 0 || accepted == 10 || got != accepted {
		t.Errorf("%d were accepted and %d are stored", accepted, got)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := s.deliver(t, path, "z", "{}"); r.status != http.StatusAccepted {
		t.Errorf("with space again: %d %s", r.status, r.body)
	}
}
