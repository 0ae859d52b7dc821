package webhook

import (
	"cmp"
	"crypto/hmac"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// response is a compiled webhooks.Response.
type response struct {
	descriptor *webhooks.Response
	text       template
	json       map[string]template
	headers    map[string]template
	over       template // what {hmac} is computed over
}

func compileResponse(r *webhooks.Response) response {
	c := response{descriptor: r, text: compileTemplate(r.Text), json: map[string]template{}, headers: map[string]template{}}
	for key, text := range r.JSON {
		c.json[key] = compileTemplate(text)
	}
	for key, text := range r.Headers {
		c.headers[http.CanonicalHeaderKey(key)] = compileTemplate(text)
	}
	if r.HMAC != nil {
		c.over = compileTemplate(r.HMAC.Over)
	}
	return c
}

// write sets status, header and body of the reply. What it echoes comes from
// outside: it is sent as plain text or JSON, and no browser may take it for HTML.
func (r *response) write(reply *Reply, in *input, key secret.Text) Reason {
	if r.descriptor.HMAC != nil && !r.computeHMAC(in, key) {
		if key.IsZero() {
			return ReasonNoSecret
		}
		return ReasonBadHandshake
	}
	defer func() { in.hmac = "" }()
	reply.Status = cmp.Or(r.descriptor.Status, http.StatusOK)
	reply.Header = http.Header{"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}}
	for name, t := range r.headers {
		value, ok := challenge(t, in)
		if !ok || !isHeaderText(value) {
			return ReasonBadHandshake
		}
		reply.Header.Set(name, value)
	}
	switch {
	case r.descriptor.Body != "":
		reply.Header.Set("Content-Type", "application/json")
		reply.Body = []byte(r.descriptor.Body)
	case r.descriptor.Text != "":
		text, ok := challenge(r.text, in)
		if !ok {
			return ReasonBadHandshake
		}
		reply.Header.Set("Content-Type", "text/plain; charset=utf-8")
		reply.Body = []byte(text)
	case r.descriptor.JSON != nil:
		object := map[string]string{}
		for name, t := range r.json {
			value, ok := challenge(t, in)
			if !ok {
				return ReasonBadHandshake
			}
			object[name] = value
		}
		reply.Header.Set("Content-Type", "application/json")
		reply.Body, _ = json.Marshal(object)
	}
	return ""
}

// challenge returns the text that is echoed; false if it is absent or too long.
func challenge(t template, in *input) (string, bool) {
	text := t.text(in)
	return text, text != "" && len(text) <= maxChallenge
}

func isHeaderText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// computeHMAC sets the value of {hmac}; false if the key is none, or a part of
// what is signed is absent.
func (r *response) computeHMAC(in *input, key secret.Text) bool {
	b, ok := decodeKey(in.engine.hmacKey(), key)
	if !ok {
		return false
	}
	mac := hmac.New(algorithms[r.descriptor.HMAC.Algorithm].new, b)
	if !r.over.writeTo(mac, in) {
		return false
	}
	in.hmac = encode(mac.Sum(nil), r.descriptor.HMAC.Encoding)
	return true
}

// hmacKey returns how secrets become HMAC keys: as for deliveries.
func (e *Engine) hmacKey() webhooks.Key {
	for i := range e.verifiers {
		if e.verifiers[i].scheme == webhooks.SchemeHMAC {
			return e.verifiers[i].key
		}
	}
	return webhooks.Key{}
}
