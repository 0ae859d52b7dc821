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

// notStored are headers with credentials, those of the HTTP connection, and those with
// a meaning in NATS or CloudEvents. Status and Description are a NATS server's: a client
// takes a message without data that has them for a status message.
var notStored = map[string]bool{
	"Authorization": true, "Cookie": true, "Proxy-Authorization": true, "Connection": true, "Keep-Alive": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Expect": true,
	"Traceparent": true, "Tracestate": true, "Content-Type": true, "Status": true, "Description": true,
}

const maxHeaderBytes = 16 << 10

// copyHeaders copies the provider's headers into the message. If they are too large
// together, the first in the order of their names are copied. Headers that repeat the
// secret of the URL, as proxies do in X-Original-Uri and the like, are not.
func copyHeaders(out events.Header, in http.Header, secrets map[string]bool, urlSecret string) {
	left := maxHeaderBytes
	for _, name := range slices.Sorted(maps.Keys(in)) {
		values, as := in[name], name
		// The attributes of a provider's own CloudEvent are kept under another name: those of
		// this event are its own.
		if own := textproto.CanonicalMIMEHeaderKey(name); strings.HasPrefix(own, "Ce-") {
			as = "X-" + own
		}
		if size := sizeOf(name, values); size <= left && stored(name, secrets) && !contain(values, urlSecret) {
			out[as] = values
			left -= size
		}
	}
}

func stored(name string, secrets map[string]bool) bool {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return !notStored[canonical] && !secrets[canonical] &&
		!strings.HasPrefix(canonical, "Nats-") && !strings.HasPrefix(canonical, "Hawser-")
}

func contain(values []string, secret string) bool {
	return secret != "" && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, secret) })
}

func sizeOf(name string, values []string) (size int) {
	for _, v := range values {
		size += len(name) + len(v)
	}
	return size
}

// urlSecret returns the last segment of the URL that was called; "" if it is an app's.
func (d *delivery) urlSecret() string {
	if !strings.HasSuffix(d.path, maskedSegment) {
		return ""
	}
	path, _, _ := strings.Cut(d.PublicURL, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// secretHeaders returns the headers that have the connection's secret itself, by which
// some providers authenticate. They must not be stored.
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
