// Package webhook verifies providers' calls. An [Engine] is compiled from the
// data of a [webhooks.Descriptor] and answers three questions about a request:
// is it a handshake ([Engine.Handshake]), is it signed ([Engine.Verify]), and
// what is it ([Engine.Extract])?
//
// Verification is over the raw bytes, in constant time on decoded bytes, with
// every active secret, and fails closed: what is not described is refused.
// No input makes it panic, and no error shows a signature or a secret.
package webhook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// maxCandidates bounds the signatures that one request can make us compare.
const maxCandidates = 10

// maxEach bounds the elements of a body that are verified one by one.
const maxEach = 100

// Engine verifies the calls of one connector's webhook. Safe for concurrent
// use.
type Engine struct {
	webhook    *webhooks.Descriptor
	ways       []way
	handshakes []handshake
	delivery   delivery
	payload    string
	keys       *Keys
}

// Options of an engine; nil is the same as the zero value.
type Options struct {
	// Keys caches the providers' public keys. Share one between engines. Nil
	// makes one with its defaults.
	Keys *Keys
}

// Compile checks the webhook and prepares it. The webhook must not change
// afterwards.
func Compile(w *webhooks.Descriptor, opts *Options) (*Engine, error) {
	if w == nil {
		return nil, fmt.Errorf("compile webhook: none given")
	}
	if err := w.Check(); err != nil {
		return nil, fmt.Errorf("compile webhook: %w", err)
	}
	own := *w
	e := &Engine{webhook: &own, payload: w.Payload, delivery: compileDelivery(w.Delivery)}
	if opts != nil {
		e.keys = opts.Keys
	}
	if e.keys == nil {
		e.keys = NewKeys(nil)
	}
	for i := range w.Verify {
		e.ways = append(e.ways, compileWay(&w.Verify[i]))
	}
	for i := range w.Handshakes {
		e.handshakes = append(e.handshakes, compileHandshake(&w.Handshakes[i]))
	}
	return e, nil
}

// Webhook is what the engine was compiled from.
func (e *Engine) Webhook() *webhooks.Descriptor { return e.webhook }

// Accepts reports whether deliveries come with the method. What it refuses and
// [Engine.Handshake] does not answer is a 405.
func (e *Engine) Accepts(method string) bool {
	if len(e.webhook.Methods) == 0 {
		return method == "POST"
	}
	return slices.Contains(e.webhook.Methods, method)
}

// Verified says how a request was verified.
type Verified struct {
	Scheme webhooks.Scheme // "unsigned" where nothing was
	Way    int             // index in Webhook.Verify
	Secret int             // index in the secrets; -1 if none took part
	// Timestamp is the provider's signed time, zero if the scheme has none.
	Timestamp time.Time
}

// Verify decides whether the request is the provider's, with any of the
// secrets: the current one, and others during their overlap. Absent secrets
// are passed over. The error is a [*Rejection], or wraps
// [ErrKeysUnavailable] where the provider's keys could not be had.
func (e *Engine) Verify(ctx context.Context, r Request, secrets []secret.Text) (Verified, error) {
	v := view{engine: e, request: r, strict: true}
	var worst *Rejection
	var unavailable error
	for i := range e.ways {
		w := &e.ways[i]
		if !w.when.hold(&v) {
			continue
		}
		verified, err := w.verify(ctx, &v, secrets)
		if err == nil {
			verified.Way = i
			return verified, nil
		}
		if rejection, ok := err.(*Rejection); !ok {
			unavailable = err
		} else if worst == nil || rejection.telling() > worst.telling() {
			worst = rejection
		}
	}
	switch {
	case unavailable != nil:
		return Verified{Secret: -1}, unavailable
	case worst == nil:
		return Verified{Secret: -1}, &Rejection{Reason: ReasonUnsupported}
	}
	return Verified{Secret: -1}, worst
}
