package executor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics never carry ids: a label has as many values as there are connectors.
type metrics struct {
	actions      *prometheus.CounterVec   // by connector and outcome
	durations    *prometheus.HistogramVec // by connector
	deliveries   *prometheus.CounterVec   // by connector and outcome
	running      prometheus.Gauge
	redeliveries prometheus.Counter
	postponed    prometheus.Counter
	overtaken    prometheus.Counter
	dead         prometheus.Counter
	problems     prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hawser_actions_total", Help: "Attempts at actions by their outcome: completed, failed or retrying."}, []string{"connector", "outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hawser_action_duration_seconds", Help: "From taking a request to its outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}, []string{"connector"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hawser_webhook_attempts_total", Help: "Attempts of webhook handlers by their outcome: processed, failed or retrying."}, []string{"connector", "outcome"}),
		running:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "hawser_actions_running", Help: "Handlers that run now."}),
		redeliveries: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_redeliveries_total", Help: "Deliveries that were not the first of their message."}),
		postponed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_actions_postponed_total", Help: "Requests put off without an attempt: the tenant had its share of the places, or a store did not answer."}),
		overtaken:    prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_actions_overtaken_total", Help: "Requests that were let pass by a backlog of another tenant, or of less urgent ones."}),
		dead:         prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_dead_letters_total", Help: "Requests that were given up on."}),
		problems:     prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_executor_problems_total", Help: "Errors that no caller could be told; the log has them."}),
	}
	if r != nil {
		r.MustRegister(m.deliveries, m.actions, m.durations, m.running, m.redeliveries, m.postponed, m.overtaken, m.dead, m.problems)
	}
	return m
}

func (m *metrics) observe(j *job, outcome string) {
	m.actions.WithLabelValues(j.metricName(), outcome).Inc()
	m.durations.WithLabelValues(j.metricName()).Observe(time.Since(j.began).Seconds())
}

// metricName keeps names that strangers make up out of the labels.
func (j *job) metricName() string {
	if j.connector == nil {
		return "unknown"
	}
	return j.connector.Key
}
