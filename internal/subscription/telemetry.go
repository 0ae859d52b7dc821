package subscription

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/records"
)

// telemetry is the metrics and the log. Each process reports what is recorded in all: sum
// nothing over processes.
type telemetry struct {
	log        zerolog.Logger
	operations *prometheus.CounterVec // by operation and outcome
	states     *prometheus.GaugeVec   // by state
	nextEnd    atomic.Int64           // Unix time in milliseconds; 0: none ends
}

func newTelemetry(r prometheus.Registerer, log zerolog.Logger) *telemetry {
	t := &telemetry{
		log: log,
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hawser_subscription_operations_total", Help: "Calls about webhook registrations by operation (create, renew, delete, list) and outcome."}, []string{"operation", "outcome"}),
		states: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hawser_subscriptions", Help: "Recorded webhook registrations by state: live, creating, leaving; failing are the connections whose last try has failed."}, []string{"state"}),
	}
	if r != nil {
		r.MustRegister(t.operations, t.states, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hawser_subscription_next_expiry_seconds", Help: "Until the live webhook registration ends that ends first; +Inf if none ends. Negative: it has ended.",
		}, t.secondsToNextEnd))
	}
	return t
}

func (t *telemetry) secondsToNextEnd() float64 {
	end := t.nextEnd.Load()
	if end == 0 {
		return math.Inf(1)
	}
	return time.Until(time.UnixMilli(end)).Seconds()
}

func (t *telemetry) done(operation string)   { t.operations.WithLabelValues(operation, "done").Inc() }
func (t *telemetry) failed(operation string) { t.operations.WithLabelValues(operation, "failed").Inc() }

// problem logs an error that is returned to no caller.
func (t *telemetry) problem(err error) { t.log.Warn().Err(err).Msg("subscriptions") }

// measure sets the gauges until ctx ends.
func (r *Runtime) measure(ctx context.Context) error {
	tick := time.NewTicker(r.opts.MeasureEvery)
	defer tick.Stop()
	for {
		if err := r.telemetry.count(ctx, r.Records); err != nil && ctx.Err() == nil {
			r.telemetry.problem(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *telemetry) count(ctx context.Context, all *records.Subscriptions) error {
	counts := map[string]int{}
	var first time.Time
	for s, err := range all.List(ctx) {
		if err != nil {
			return err
		}
		if s.Failures > 0 {
			counts["failing"]++
		}
		for _, r := range s.Registrations {
			counts[string(r.State)]++
			if r.State == records.RegistrationLive && !r.ExpiresAt.IsZero() && (first.IsZero() || r.ExpiresAt.Before(first)) {
				first = r.ExpiresAt
			}
		}
	}
	for _, state := range []string{"live", "creating", "leaving", "failing"} {
		t.states.WithLabelValues(state).Set(float64(counts[state]))
	}
	end := int64(0)
	if !first.IsZero() {
		end = first.UnixMilli()
	}
	t.nextEnd.Store(end)
	return nil
}
