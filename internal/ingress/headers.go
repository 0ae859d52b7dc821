package ingress

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Headers that are not the provider's to hand on: credentials, the HTTP
// connection's own, and those that would mean something to NATS or to readers of
// CloudEvents. Status and Description are how a NATS server speaks: a message
// without data that carries them is taken for its word.
var heldBack = map[string]bool{
	"Authorization": true, "Cookie": true, "Proxy-Authorization": true, "Connection": true, "Keep-Alive": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Expect": true,
	"Traceparent": true, "Tracestate": true, "Content-Type": true, "Status": true, "Description": true,
}

const maxKeptHeaders = 16 << 10

// keepHeaders copies the provider's headers into the message, in the order of
// their names, as far as there is room.
func keepHeaders(out events.Header, in http.Header, secrets map[string]bool) {
	room := maxKeptHeaders
	for _, name := range slices.Sorted(maps.Keys(in)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if heldBack[canonical] || secrets[canonical] || strings.HasPrefix(canonical, "Nats-") || strings.HasPrefix(canonical, "Ce-") || strings.HasPrefix(canonical, "Hawser-") {
			continue
		}
		size := 0
		for _, v := range in[name] {
			size += len(name) + len(v)
		}
		if size <= room {
			room -= size
			out[name] = in[name]
		}
	}
}

// secretHeaders are those that carry the connection's secret itself, where the
// provider proves nothing but that it knows it: such must not be stored.
func secretHeaders(w *connectors.Webhook) map[string]bool {
	var out map[string]bool
	for _, v := range w.Verify {
		name, isHeader := strings.CutPrefix(v.Signature.From, "header.")
		if !isHeader || v.Scheme != connectors.SchemeSharedSecret && v.Scheme != connectors.SchemeJWT {
			continue
		}
		if out == nil {
			out = map[string]bool{}
		}
		out[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return out
}
