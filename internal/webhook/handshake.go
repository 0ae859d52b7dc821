package webhook

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Reply is the answer to a handshake. The caller carries out Capture and Visit
// first, then sends status, header and body as they are.
type Reply struct {
	Name   string // of the handshake
	Status int
	Header http.Header
	Body   []byte
	// Capture, if set, is to be stored as the connection's webhook secret.
	Capture secret.Text
	// Visit, if set, is an address to fetch with GET, without credentials and
	// redirects. It matches the descriptor's addresses.
	Visit string
}

// maxChallenge bounds what a handshake echoes, in bytes.
const maxChallenge = 4096

// handshake is a compiled webhooks.Handshake.
type handshake struct {
	descriptor *webhooks.Handshake
	when       conditions
	token      source
	capture    source
	visit      template
	addresses  []webhooks.URLPattern
	response   response
}

func compileHandshake(h *webhooks.Handshake) handshake {
	return handshake{
		descriptor: h, when: compileConditions(h.When), token: compileSource(h.Token), capture: compileSource(h.Capture),
		visit: compileTemplate(h.Visit), addresses: compilePatterns(h.Addresses), response: compileResponse(&h.Respond),
	}
}

// Handshake returns the answer to a handshake. Without reply and error the
// request is none: verify it as a delivery. The verify tokens are those of
// Descriptor.TokenField; without that setting the secrets are used. The error is
// as of [Engine.Verify]. A handshake is neither stored nor an event.
func (e *Engine) Handshake(ctx context.Context, r Request, secrets, tokens []secret.Text) (*Reply, error) {
	in := input{engine: e, request: plain(e.descriptor, r), strict: true}
	if e.descriptor.TokenField == "" {
		tokens = secrets
	}
	for i := range e.handshakes {
		h := &e.handshakes[i]
		if !h.matches(&in, secrets) {
			continue
		}
		reply, err := h.answer(ctx, &in, secrets, tokens)
		if rejection, ok := errors.AsType[*Rejection](err); ok {
			rejection.Handshake, rejection.NoBody = h.descriptor.Name, h.descriptor.BareRefusal
		}
		return reply, err
	}
	return nil, nil
}

func (h *handshake) matches(in *input, secrets []secret.Text) bool {
	if !slices.Contains(methodsOrPost(h.descriptor.Methods), in.request.Method) || !h.when.match(in) {
		return false
	}
	if h.descriptor.Capture.From == "" {
		return true
	}
	// A secret is captured only while there is none: a request cannot replace it.
	if !firstSecret(secrets).IsZero() {
		return false
	}
	_, ok := h.capture.single(in)
	return ok
}

func firstSecret(secrets []secret.Text) secret.Text {
	for _, s := range secrets {
		if !s.IsZero() {
			return s
		}
	}
	return secret.Text{}
}

func (h *handshake) answer(ctx context.Context, in *input, secrets, tokens []secret.Text) (*Reply, error) {
	key := firstSecret(secrets)
	if h.descriptor.Verified {
		verified, err := in.engine.Verify(ctx, in.request, secrets)
		if err != nil {
			return nil, err
		}
		if verified.Secret >= 0 {
			key = secrets[verified.Secret]
		}
	}
	if h.descriptor.Token.From != "" && !h.hasToken(in, tokens) {
		return nil, &Rejection{Reason: ReasonWrongToken}
	}
	reply := &Reply{Name: h.descriptor.Name}
	if h.descriptor.Capture.From != "" {
		captured, _ := h.capture.single(in)
		reply.Capture = secret.New(captured)
		if in.engine.CheckSecret(reply.Capture) != nil || len(captured) > maxChallenge {
			return nil, &Rejection{Reason: ReasonBadHandshake}
		}
	}
	if h.descriptor.Visit != "" {
		reply.Visit = h.visit.text(in)
		if !matchesAny(h.addresses, reply.Visit) {
			return nil, &Rejection{Reason: ReasonBadHandshake}
		}
	}
	if reason := h.response.write(reply, in, key); reason != "" {
		return nil, &Rejection{Reason: reason}
	}
	return reply, nil
}

// hasToken reports whether the request has one of the verify tokens.
func (h *handshake) hasToken(in *input, tokens []secret.Text) bool {
	text, ok := h.token.single(in)
	if !ok || len(text) > maxSharedSecret {
		return false
	}
	sent := secret.New(text)
	return slices.ContainsFunc(tokens, sent.Equal)
}
