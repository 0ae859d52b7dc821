package webhook

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Reply is the answer to a handshake. The caller sends it as it is, and does
// what Capture and Visit ask for first.
type Reply struct {
	Name   string // of the handshake
	Status int
	Header http.Header
	Body   []byte
	// Capture, if set, is to be stored as the connection's webhook secret
	// before answering.
	Capture secret.Text
	// Visit, if set, is an address to fetch with GET, without credentials and
	// redirects; it matched the descriptor's addresses. Answer after that.
	Visit string
}

// longestChallenge bounds what a handshake makes us echo.
const longestChallenge = 4096

// handshake is a compiled webhooks.Handshake.
type handshake struct {
	data      *webhooks.Handshake
	when      conditions
	token     source
	capture   source
	visit     template
	addresses []webhooks.URLPattern
	text      template
	json      map[string]template
	headers   map[string]template
	over      template
}

func compileHandshake(h *webhooks.Handshake) handshake {
	c := handshake{
		data: h, when: compileConditions(h.When), token: compileSource(h.Token), capture: compileSource(h.Capture),
		visit: compileTemplate(h.Visit), addresses: compileAddresses(h.Addresses), text: compileTemplate(h.Respond.Text),
		json: map[string]template{}, headers: map[string]template{},
	}
	for key, text := range h.Respond.JSON {
		c.json[key] = compileTemplate(text)
	}
	for key, text := range h.Respond.Headers {
		c.headers[http.CanonicalHeaderKey(key)] = compileTemplate(text)
	}
	if h.Respond.HMAC != nil {
		c.over = compileTemplate(h.Respond.HMAC.Over)
	}
	return c
}

// Handshake answers a request that is one: nil and no error mean that it is
// none, so go on and verify it as a delivery. tokens are the verify tokens of
// Webhook.TokenField; without that setting the secrets are used. The error is
// as of [Engine.Verify]. A handshake is never stored and emits no event.
func (e *Engine) Handshake(ctx context.Context, r Request, secrets, tokens []secret.Text) (*Reply, error) {
	if len(e.handshakes) == 0 {
		return nil, nil
	}
	v := view{engine: e, request: r, strict: true}
	if e.webhook.TokenField == "" {
		tokens = secrets
	}
	for i := range e.handshakes {
		h := &e.handshakes[i]
		if h.matches(&v, secrets) {
			reply, err := h.answer(ctx, &v, secrets, tokens)
			if rejection, ok := errors.AsType[*Rejection](err); ok {
				rejection.Handshake, rejection.Bare = h.data.Name, h.data.BareRefusal
			}
			return reply, err
		}
	}
	return nil, nil
}

func (h *handshake) matches(v *view, secrets []secret.Text) bool {
	if !slices.Contains(methodsOr(h.data.Methods, http.MethodPost), v.request.Method) || !h.when.hold(v) {
		return false
	}
	if h.data.Capture.From == "" {
		return true
	}
	// Only while there is no secret: nobody can replace one.
	if slices.ContainsFunc(secrets, func(s secret.Text) bool { return !s.IsZero() }) {
		return false
	}
	found, reason := h.capture.candidates(v, nil)
	return reason == "" && len(found) == 1
}

func methodsOr(methods []string, fallback string) []string {
	if len(methods) == 0 {
		return []string{fallback}
	}
	return methods
}

func (h *handshake) answer(ctx context.Context, v *view, secrets, tokens []secret.Text) (*Reply, error) {
	key := firstSecret(secrets)
	if h.data.Verified {
		verified, err := v.engine.Verify(ctx, v.request, secrets)
		if err != nil {
			return nil, err
		}
		if verified.Secret >= 0 {
			key = secrets[verified.Secret]
		}
	}
	if h.data.Token.From != "" && !h.tokenHolds(v, tokens) {
		return nil, &Rejection{Reason: ReasonWrongToken}
	}
	reply := &Reply{Name: h.data.Name, Status: h.data.Respond.Status, Header: http.Header{}}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	if h.data.Capture.From != "" {
		captured, _ := h.capture.candidates(v, nil)
		reply.Capture = secret.New(captured[0])
		if v.engine.CheckSecret(reply.Capture) != nil || len(captured[0]) > longestChallenge {
			return nil, &Rejection{Reason: ReasonBadHandshake}
		}
	}
	if h.data.Visit != "" {
		reply.Visit = h.visit.text(v)
		if !matchesAny(h.addresses, reply.Visit) {
			return nil, &Rejection{Reason: ReasonBadHandshake}
		}
	}
	if err := h.write(reply, v, key); err != nil {
		return nil, err
	}
	return reply, nil
}

func firstSecret(secrets []secret.Text) secret.Text {
	for _, s := range secrets {
		if !s.IsZero() {
			return s
		}
	}
	return secret.Text{}
}

func (h *handshake) tokenHolds(v *view, tokens []secret.Text) bool {
	found, reason := h.token.candidates(v, nil)
	if reason != "" || len(found) != 1 || len(found[0]) > longestShared {
		return false
	}
	offered := secret.New(found[0])
	return slices.ContainsFunc(tokens, func(t secret.Text) bool { return !t.IsZero() && t.Equal(offered) })
}

// write fills in headers and body. What it echoes is foreign, so it goes out
// as plain text or JSON, never guessed to be a page.
func (h *handshake) write(reply *Reply, v *view, key secret.Text) error {
	bad := &Rejection{Reason: ReasonBadHandshake}
	if h.data.Respond.HMAC != nil && !h.computeHMAC(v, key) {
		if key.IsZero() {
			return &Rejection{Reason: ReasonNoSecret}
		}
		return bad
	}
	defer func() { v.hmac = "" }()
	reply.Header.Set("X-Content-Type-Options", "nosniff")
	reply.Header.Set("Cache-Control", "no-store")
	for name, t := range h.headers {
		value, ok := challenge(t, v)
		if !ok || !isHeaderText(value) {
			return bad
		}
		reply.Header.Set(name, value)
	}
	r := &h.data.Respond
	switch {
	case r.Body != "":
		reply.Header.Set("Content-Type", "application/json")
		reply.Body = []byte(r.Body)
	case r.Text != "":
		text, ok := challenge(h.text, v)
		if !ok {
			return bad
		}
		reply.Header.Set("Content-Type", "text/plain; charset=utf-8")
		reply.Body = []byte(text)
	case r.JSON != nil:
		object := map[string]string{}
		for name, t := range h.json {
			value, ok := challenge(t, v)
			if !ok {
				return bad
			}
			object[name] = value
		}
		reply.Header.Set("Content-Type", "application/json")
		reply.Body, _ = json.Marshal(object)
	}
	return nil
}

// challenge evaluates what is echoed: it has to be there, and short.
func challenge(t template, v *view) (string, bool) {
	text := t.text(v)
	return text, text != "" && len(text) <= longestChallenge
}

func isHeaderText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// computeHMAC computes what {hmac} stands for.
func (h *handshake) computeHMAC(v *view, key secret.Text) bool {
	bytes, ok := decodeKey(v.engine.hmacKey(), key)
	if !ok {
		return false
	}
	answer := h.data.Respond.HMAC
	mac := hmac.New(algorithms[answer.Algorithm].new, bytes)
	out := sink{hash: mac}
	if !h.over.write(&out, v) {
		return false
	}
	out.flush()
	v.hmac = encode(mac.Sum(nil), answer.Encoding)
	return true
}

// hmacKey says how secrets become HMAC keys: as where deliveries are verified.
func (e *Engine) hmacKey() webhooks.Key {
	for i := range e.ways {
		if e.ways[i].scheme == webhooks.SchemeHMAC {
			return e.ways[i].key
		}
	}
	return webhooks.Key{}
}
