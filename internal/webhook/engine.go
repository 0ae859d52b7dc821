// Package webhook verifies providers' webhook requests. An [Engine] is compiled
// from a [webhooks.Descriptor] and answers three questions about a request: is
// it a handshake ([Engine.Handshake]), is its signature valid ([Engine.Verify]),
// and what are its id, type and account ([Engine.Extract])?
//
// Signatures are verified over the raw bytes, with every active secret, and
// compared in constant time. Verification fails closed: what the descriptor does
// not describe is refused. No input causes a panic, and no error contains a
// signature or a secret.
package webhook

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Limits of one request.
const (
	maxCandidates = 10  // signatures that are compared
	maxElements   = 100 // elements of a body that are verified one by one
)

// Request is one request of a provider. The caller sets every field; the engine
// does not change it.
type Request = webhooks.Request

// Engine verifies the requests of one connector's webhook. Safe for concurrent
// use.
type Engine struct {
	descriptor *webhooks.Descriptor
	verifiers  []verifier
	handshakes []handshake
	extraction extraction
	keys       *Keys
}

// Options of an engine. Nil is the same as the zero value.
type Options struct {
	// Keys caches the providers' public keys; engines should share one. Nil
	// makes one with its defaults.
	Keys *Keys
}

// Compile checks the descriptor and returns its engine. The descriptor must not
// change afterwards.
func Compile(d *webhooks.Descriptor, opts *Options) (*Engine, error) {
	if d == nil {
		return nil, fmt.Errorf("compile webhook: the descriptor is nil")
	}
	if err := d.Check(); err != nil {
		return nil, fmt.Errorf("compile webhook: %w", err)
	}
	own := *d
	e := &Engine{descriptor: &own, extraction: compileExtraction(d.Delivery)}
	if opts != nil {
		e.keys = opts.Keys
	}
	if e.keys == nil {
		e.keys = NewKeys(nil)
	}
	for i := range d.Verify {
		e.verifiers = append(e.verifiers, compileVerifier(&d.Verify[i]))
	}
	for i := range d.Handshakes {
		e.handshakes = append(e.handshakes, compileHandshake(&d.Handshakes[i]))
	}
	return e, nil
}

// Descriptor returns what the engine was compiled from.
func (e *Engine) Descriptor() *webhooks.Descriptor { return e.descriptor }

// Accepts reports whether deliveries use the method. The answer to a request
// with another one, unless [Engine.Handshake] answers it, is 405.
func (e *Engine) Accepts(method string) bool {
	return slices.Contains(methodsOrPost(e.descriptor.Methods), method)
}

func methodsOrPost(methods []string) []string {
	if len(methods) == 0 {
		return []string{http.MethodPost}
	}
	return methods
}

// Verified says how a request was verified.
type Verified struct {
	Scheme   webhooks.Scheme // "unsigned" if there was nothing to verify
	Verifier int             // index in Descriptor.Verify
	Secret   int             // index in the secrets; -1 if the scheme uses none
	// Timestamp is the provider's signed time, zero if the scheme has none.
	Timestamp time.Time
}

// Verify verifies the request by each applicable verification of the
// descriptor, with each of the secrets: the current one, and older ones during
// their grace time. Absent secrets are skipped. The error is a [*Rejection], or
// wraps [ErrKeysUnavailable] if the provider's keys could not be fetched.
func (e *Engine) Verify(ctx context.Context, r Request, secrets []secret.Text) (Verified, error) {
	in := input{engine: e, request: plain(e.descriptor, r), strict: true}
	var rejection *Rejection
	var unavailable error
	for i := range e.verifiers {
		v := &e.verifiers[i]
		if !v.when.match(&in) {
			continue
		}
		verified, err := v.verify(ctx, &in, secrets)
		if err == nil {
			verified.Verifier = i
			return verified, nil
		}
		if refused, ok := err.(*Rejection); !ok {
			unavailable = err
		} else if rejection == nil || refused.specificity() > rejection.specificity() {
			rejection = refused
		}
	}
	if unavailable != nil {
		return Verified{Secret: -1}, unavailable
	}
	return Verified{Secret: -1}, cmp.Or(rejection, &Rejection{Reason: ReasonUnsupported})
}
