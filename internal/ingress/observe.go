package ingress

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

type metrics struct {
	requests *prometheus.CounterVec   // by route and status
	seconds  *prometheus.HistogramVec // by route
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_http_requests_total", Help: "HTTP requests by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hawser_http_request_duration_seconds", Help: "How long HTTP requests took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"route"}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds)
	}
	return m
}

// recorder records the answer, for the log line.
type recorder struct {
	http.ResponseWriter
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

// RecordCode implements [problem.CodeRecorder].
func (r *recorder) RecordCode(code connectors.Code) { r.code = code }

// observe gives every request an id, a trace, a slot, metrics and a log line. The line
// has the route, never the path: paths have secrets. A panic is answered 500 and ends
// this request only.
func (i *Ingress) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w}
		problem.SetRequestID(rec, events.NewID())
		if len(r.TransferEncoding) > 0 {
			// net/http ignores a Content-Length beside it, and a proxy before us may not:
			// RFC 9112, 6.1 requires that the connection is closed.
			rec.Header().Set("Connection", "close")
		}
		r = r.WithContext(traced(r))
		r.Pattern = ""
		defer i.finish(rec, r, began)
		if !i.requests.TryAcquire(1) {
			problem.Write(rec, problem.Overloaded("too many requests at once"))
			return
		}
		defer i.requests.Release(1)
		if !i.basePath.Normalize(r) {
			problem.NotFound(rec)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// finish answers a panic, and writes the request's metrics and log line.
func (i *Ingress) finish(rec *recorder, r *http.Request, began time.Time) {
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler {
		// The value may have secrets, so it is not logged.
		i.log.Error().Str("request_id", rec.Header().Get(problem.RequestIDHeader)).Str("route", routeOf(r)).Msg("a handler panicked")
		if rec.status == 0 {
			problem.Write(rec, &connectors.Error{Code: connectors.CodeInternal, Message: "internal error"})
			panicked = nil
		}
	}
	if rec.status == 0 {
		rec.status = http.StatusOK // as net/http answers for a handler that writes nothing
	}
	took := time.Since(began)
	i.metrics.requests.WithLabelValues(routeOf(r), strconv.Itoa(rec.status)).Inc()
	i.metrics.seconds.WithLabelValues(routeOf(r)).Observe(took.Seconds())
	level := zerolog.InfoLevel
	if rec.status < http.StatusBadRequest {
		level = zerolog.DebugLevel
	}
	if line := i.log.WithLevel(level); line.Enabled() {
		line.Str("request_id", rec.Header().Get(problem.RequestIDHeader)).Str("trace_id", events.TraceID(r.Context())).Str("method", methodOf(r)).
			Str("route", routeOf(r)).Int("status", rec.status).Str("code", string(rec.code)).Dur("ms", took).Msg("http")
	}
	if panicked != nil {
		panic(http.ErrAbortHandler) // so that a truncated response is not taken for a whole one
	}
}

// routeOf returns the pattern that the request matched.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "none"
	}
	return r.Pattern
}

// methodOf returns the method; "other" for one that HTTP does not define.
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
