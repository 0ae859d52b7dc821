package receive

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	webhooks        *prometheus.CounterVec // by connector and outcome
	rejections      *prometheus.CounterVec // by connector and reason
	quarantined     *prometheus.CounterVec // by connector and reason
	evidenceDropped prometheus.Counter
	ackSeconds      prometheus.Histogram
	unsigned        prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"connector", label})
	}
	m := &metrics{
		webhooks:        counters("hawser_webhooks_total", "Webhook deliveries by connector and outcome: accepted, duplicate, handshake, or an error code.", "outcome"),
		rejections:      counters("hawser_webhook_rejections_total", "Deliveries that did not verify, by reason.", "reason"),
		quarantined:     counters("hawser_webhooks_quarantined_total", "Deliveries put into quarantine, by reason.", "reason"),
		evidenceDropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_webhook_evidence_dropped_total", Help: "Refused deliveries that left no evidence, because there were too many."}),
		ackSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hawser_publish_ack_seconds", Help: "From sending a webhook to the stream to its ack.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10)}),
		unsigned: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_webhooks_unsigned_total", Help: "Webhooks accepted without a signature, as their connector says."}),
	}
	if r != nil {
		r.MustRegister(m.quarantined, m.evidenceDropped, m.webhooks, m.rejections, m.ackSeconds, m.unsigned)
	}
	return m
}
