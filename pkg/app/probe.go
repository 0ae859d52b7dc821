package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

const probeTimeout = time.Second

// probes serves liveness, readiness and metrics beside api, which may be nil. It compares
// paths itself: a ServeMux would redirect paths of the API with an empty identity.
func (n *node) probes(api http.Handler) http.Handler {
	if api == nil {
		api = http.NotFoundHandler()
	}
	metrics := promhttp.HandlerFor(n.metrics, promhttp.HandlerOpts{Timeout: 5 * time.Second, MaxRequestsInFlight: 4})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			answer(w, http.StatusOK, map[string]string{"status": "ok"})
		case "/readyz":
			n.ready(w, r)
		case "/metrics":
			metrics.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// readiness says whether NATS can be reached and takes writes, and how long the oldest request has waited.
// Requests that wait for executors do not make an ingress unready, since it can still
// accept webhooks; the status is then "waiting".
type readiness struct {
	Status               string  `json:"status"` // ready, waiting, unready
	NATS                 string  `json:"nats"`
	Store                string  `json:"store"` // ok, or why it takes no writes
	Pending              uint64  `json:"pending"`
	OldestPendingSeconds float64 `json:"oldest_pending_seconds"`
}

// waitingAfter is how old the oldest request is when the status becomes "waiting".
const waitingAfter = 2 * time.Minute

func (n *node) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	out := readiness{Status: "ready", NATS: "ok", Store: "ok"}
	state, age, err := n.oldestPending(ctx)
	if err != nil {
		out.Status, out.NATS = "unready", "unreachable"
		answer(w, http.StatusServiceUnavailable, out)
		return
	}
	if err := n.health.problem(); err != nil {
		out.Status, out.Store = "unready", fmt.Sprintf("%.300s", err)
		answer(w, http.StatusServiceUnavailable, out)
		return
	}
	out.Pending, out.OldestPendingSeconds = state.Messages, age.Seconds()
	if age > waitingAfter {
		out.Status = "waiting"
	}
	answer(w, http.StatusOK, out)
}

func (n *node) oldestPending(ctx context.Context) (queue.StreamState, time.Duration, error) {
	state, err := n.queue.Streams.State(ctx, events.Actions)
	if err != nil || state.Messages == 0 {
		return state, 0, err
	}
	return state, time.Since(state.Oldest), nil
}

func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// observe registers the metrics of the node itself.
func (n *node) observe() {
	n.metrics.MustRegister(&streamMetrics{n, prometheus.NewDesc("hawser_stream_messages", "Messages that a stream holds.", []string{"stream"}, nil),
		prometheus.NewDesc("hawser_oldest_pending_seconds", "How long the oldest action request has waited.", nil, nil),
		prometheus.NewDesc("hawser_seals_total", "Values sealed by this process, by key id. Rotate long before 2^32.", []string{"key"}, nil)})
}

// streamMetrics asks the server at each scrape.
type streamMetrics struct {
	node                    *node
	messages, oldest, seals *prometheus.Desc
}

func (m *streamMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.messages
	out <- m.oldest
	out <- m.seals
}

func (m *streamMetrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	for _, s := range []events.Stream{events.Actions, queue.Parked, events.Results, events.Webhooks, events.Lifecycle, queue.Dead, events.Quarantine} {
		if state, err := m.node.queue.Streams.State(ctx, s); err == nil {
			out <- prometheus.MustNewConstMetric(m.messages, prometheus.GaugeValue, float64(state.Messages), string(s))
		}
	}
	if _, age, err := m.node.oldestPending(ctx); err == nil {
		out <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, age.Seconds())
	}
	for id, count := range m.node.keys.Seals() {
		out <- prometheus.MustNewConstMetric(m.seals, prometheus.CounterValue, float64(count), strconv.FormatUint(uint64(id), 10))
	}
}
