package ingress

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

type metrics struct {
	requests   *prometheus.CounterVec   // by route and status
	webhooks   *prometheus.CounterVec   // by connector and outcome
	rejections *prometheus.CounterVec   // by connector and reason
	seconds    *prometheus.HistogramVec // by route
	ackSeconds prometheus.Histogram
	unsigned   prometheus.Counter
	// quarantined counts by connector and reason; evidenceDropped what was refused
	// and not even noted, because there was too much of it.
	quarantined     *prometheus.CounterVec
	evidenceDropped prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_http_requests_total", Help: "HTTP requests by route and status."}, []string{"route", "status"}),
		webhooks:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_webhooks_total", Help: "Webhook deliveries by connector and outcome: accepted, duplicate, handshake, or an error code."}, []string{"connector", "outcome"}),
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_webhook_rejections_total", Help: "Deliveries that did not verify, by reason."}, []string{"connector", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hawser_http_request_duration_seconds", Help: "How long HTTP requests took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"route"}),
		ackSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hawser_publish_ack_seconds", Help: "From sending a webhook to the stream to its ack.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10)}),
		unsigned: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_webhooks_unsigned_total", Help: "Webhooks accepted without a signature, as their connector says."}),
	}
	m.quarantined = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_webhooks_quarantined_total", Help: "Deliveries put into quarantine, by reason."}, []string{"connector", "reason"})
	m.evidenceDropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_webhook_evidence_dropped_total", Help: "Refused deliveries that left no evidence, because there were too many."})
	if r != nil {
		r.MustRegister(m.quarantined, m.evidenceDropped, m.requests, m.webhooks, m.rejections, m.seconds, m.ackSeconds, m.unsigned)
	}
	return m
}

func (m *metrics) observeWebhook(connector string, ended outcome) {
	m.webhooks.WithLabelValues(connector, string(ended)).Inc()
}

// recorder remembers what was answered, for the log line.
type recorder struct {
	http.ResponseWriter
	id     string
	status int // 0 until the answer begins
	code   connectors.Code
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// note lets the log line name the error's code.
func note(w http.ResponseWriter, e *connectors.Error) {
	if r, ok := w.(*recorder); ok {
		r.code = e.Code
	}
}

const requestIDHeader = "X-Request-Id"

// requestID is the id of the request that w answers. What the request leaves behind
// has it too, so that whoever sees the answer can find that.
func requestID(w http.ResponseWriter) string {
	if r, ok := w.(*recorder); ok {
		return r.id
	}
	return events.NewID()
}

// observed gives every request an id, a trace, a bound, a metric and a log line.
// The line names the route, never the path: paths hold secrets. A panic is
// answered 500 and costs this request only.
func (i *Ingress) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, id: events.NewID()}
		rec.Header()[requestIDHeader] = []string{rec.id}
		if len(r.TransferEncoding) > 0 {
			// net/http drops a Content-Length beside it, so whatever follows may be read
			// differently before us: RFC 9112, 6.1 has the connection end.
			rec.Header().Set("Connection", "close")
		}
		r = r.WithContext(traced(r))
		r.Pattern = ""
		defer i.concluded(rec, r, began)
		select {
		case i.slots <- struct{}{}:
			defer func() { <-i.slots }()
		default:
			e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "too many requests at once; try again")
			e.RetryAfter = time.Second
			writeProblem(rec, e)
			return
		}
		if !i.refit(r) {
			nothingHere(rec)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

func (i *Ingress) concluded(rec *recorder, r *http.Request, began time.Time) {
	thrown := recover()
	if thrown != nil && thrown != http.ErrAbortHandler {
		// What was thrown may hold anything, so it is not printed.
		i.log.Error().Str("request_id", rec.id).Str("route", routeOf(r)).Msg("a handler panicked")
		if rec.status == 0 {
			writeProblem(rec, &connectors.Error{Code: connectors.CodeInternal, Message: "internal error"})
			thrown = nil
		}
	}
	if rec.status == 0 {
		rec.status = http.StatusOK // as net/http answers who says nothing
	}
	took := time.Since(began)
	i.metrics.requests.WithLabelValues(routeOf(r), strconv.Itoa(rec.status)).Inc()
	i.metrics.seconds.WithLabelValues(routeOf(r)).Observe(took.Seconds())
	level := zerolog.InfoLevel
	if rec.status < http.StatusBadRequest {
		level = zerolog.DebugLevel
	}
	if line := i.log.WithLevel(level); line.Enabled() {
		line.Str("request_id", rec.id).Str("trace_id", events.TraceID(r.Context())).Str("method", methodOf(r)).
			Str("route", routeOf(r)).Int("status", rec.status).Str("code", string(rec.code)).Dur("ms", took).Msg("http")
	}
	if thrown != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// routeOf is the pattern that the request matched.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "none"
	}
	return r.Pattern
}

// methodOf keeps what strangers make up out of the log.
func methodOf(r *http.Request) string {
	switch r.Method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return r.Method
	}
	return "other"
}

func traced(r *http.Request) context.Context {
	ctx := r.Context()
	if parent := r.Header["Traceparent"]; len(parent) > 0 { // as net/http writes the name
		ctx = events.WithTrace(ctx, events.Header{events.ExtTraceParent: parent[:1], events.ExtTraceState: r.Header["Tracestate"]})
	}
	return events.EnsureTrace(ctx)
}
