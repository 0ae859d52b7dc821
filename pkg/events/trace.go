package events

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// W3C Trace Context, carried as the CloudEvents extensions traceparent and
// tracestate (the distributed tracing extension of the specification).
var traceFormat propagation.TraceContext

// WithTrace returns ctx continuing the trace that a message carries, as
// CloudEvents attributes or as plain traceparent and tracestate headers;
// malformed values are ignored.
func WithTrace(ctx context.Context, h Header) context.Context {
	c := propagation.MapCarrier{ExtTraceParent: Attribute(h, ExtTraceParent), ExtTraceState: Attribute(h, ExtTraceState)}
	if c[ExtTraceParent] == "" {
		c = propagation.MapCarrier{ExtTraceParent: headerValue(h, ExtTraceParent), ExtTraceState: headerValue(h, ExtTraceState)}
	}
	return traceFormat.Extract(ctx, c)
}

// EnsureTrace returns ctx with a trace: the one it has, or a new one.
func EnsureTrace(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	var random [24]byte
	_, _ = rand.Read(random[:])
	c := trace.SpanContextConfig{TraceID: trace.TraceID(random[:16]), SpanID: trace.SpanID(random[16:])}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(c))
}

// SameTrace returns ctx with the trace of another context.
func SameTrace(ctx, other context.Context) context.Context {
	return trace.ContextWithRemoteSpanContext(ctx, trace.SpanContextFromContext(other))
}

// TraceID returns the id of ctx's trace in hex, or "".
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc.TraceID().String()
	}
	return ""
}

// setTrace writes the trace of ctx into binary-mode headers.
func setTrace(ctx context.Context, h Header) {
	c := propagation.MapCarrier{}
	traceFormat.Inject(ctx, c)
	for name, value := range c {
		h[attributePrefix+name] = []string{percentEncode(value)}
	}
}
