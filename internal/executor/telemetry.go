package executor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/pkg/events"
)

// telemetry is the metrics and the log. Labels never carry ids: one has as many values as
// there are connectors.
type telemetry struct {
	log          zerolog.Logger
	actions      *prometheus.CounterVec   // by connector and outcome
	durations    *prometheus.HistogramVec // by connector
	webhooks     *prometheus.CounterVec   // by connector and outcome
	running      prometheus.Gauge
	redeliveries prometheus.Counter
	postponed    prometheus.Counter
	moved        prometheus.Counter
	dead         prometheus.Counter
	problems     prometheus.Counter
}

func newTelemetry(r prometheus.Registerer, log zerolog.Logger) *telemetry {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	t := &telemetry{
		log: log,
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hawser_actions_total", Help: "Attempts at actions by their outcome: completed, failed or retrying."}, []string{"connector", "outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hawser_action_duration_seconds", Help: "From the delivery of a request to its outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}, []string{"connector"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hawser_webhook_attempts_total", Help: "Attempts of webhook handlers by their outcome: processed, failed or retrying."}, []string{"connector", "outcome"}),
		running:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "hawser_actions_running", Help: "Handlers that run now."}),
		redeliveries: counter("hawser_redeliveries_total", "Messages that were delivered again."),
		postponed:    counter("hawser_actions_postponed_total", "Requests parked without an attempt: the tenant has its share of the concurrency slots, or a store does not answer."),
		moved:        counter("hawser_actions_overtaken_total", "Requests moved past a backlog of another tenant, or of less urgent requests."),
		dead:         counter("hawser_dead_letters_total", "Requests and webhooks stored as dead letters."),
		problems:     counter("hawser_executor_problems_total", "Errors that are returned to no caller; the log has them."),
	}
	if r != nil {
		r.MustRegister(t.webhooks, t.actions, t.durations, t.running, t.redeliveries, t.postponed, t.moved, t.dead, t.problems)
	}
	return t
}

// problem logs an error that is returned to no caller.
func (t *telemetry) problem(err error) {
	t.problems.Inc()
	t.log.Warn().Err(err).Msg("executor")
}

// attempt counts an attempt at an action.
func (t *telemetry) attempt(of *task, outcome string) {
	t.actions.WithLabelValues(of.connectorLabel(), outcome).Inc()
	t.durations.WithLabelValues(of.connectorLabel()).Observe(time.Since(of.began).Seconds())
}

// line begins the log line about the end of an attempt.
func (t *telemetry) line(ctx context.Context, level zerolog.Level, of *task) *zerolog.Event {
	return t.log.WithLevel(level).Str("request_id", of.request.ID).Str("trace_id", events.TraceID(ctx)).
		Str("connector", of.request.Connector).Str("action", of.request.Action).Str("scope", of.request.Scope)
}
