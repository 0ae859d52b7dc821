package receive

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
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

// keepHeaders copies the provider's headers into the message. Where there is not
// room for all, the first in the order of their names have it. Those that repeat
// the secret of the URL, as proxies do in X-Original-Uri and the like, are not kept.
// Nothing is written that is taken back: a map that has grown stays large.
func keepHeaders(out events.Header, in http.Header, secrets map[string]bool, urlSecret string) {
	room := maxKeptHeaders
	keep := func(name string) {
		values := in[name]
		if size := sizeOf(name, values); size <= room && handedOn(name, secrets) && !tell(values, urlSecret) {
			out[name] = values
			room -= size
		}
	}
	all := 0
	for name, values := range in {
		all += sizeOf(name, values)
	}
	if all <= room {
		for name := range in {
			keep(name)
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		keep(name)
	}
}

func handedOn(name string, secrets map[string]bool) bool {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return !heldBack[canonical] && !secrets[canonical] &&
		!strings.HasPrefix(canonical, "Nats-") && !strings.HasPrefix(canonical, "Ce-") && !strings.HasPrefix(canonical, "Hawser-")
}

func tell(values []string, secret string) bool {
	return secret != "" && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, secret) })
}

func sizeOf(name string, values []string) (size int) {
	for _, v := range values {
		size += len(name) + len(v)
	}
	return size
}

// urlSecret is the last segment of the address that was called, "" where that is
// no secret.
func (d *delivery) urlSecret() string {
	if !strings.HasSuffix(d.path, maskedSegment) {
		return ""
	}
	path, _, _ := strings.Cut(d.PublicURL, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// secretHeaders are those that carry the connection's secret itself, where the
// provider proves nothing but that it knows it: such must not be stored.
func secretHeaders(w *webhooks.Descriptor) map[string]bool {
	var out map[string]bool
	for _, v := range w.Verify {
		name, isHeader := strings.CutPrefix(v.Signature.From, "header.")
		if !isHeader || v.Scheme != webhooks.SchemeSharedSecret && v.Scheme != webhooks.SchemeJWT {
			continue
		}
		if out == nil {
			out = map[string]bool{}
		}
		out[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return out
}
