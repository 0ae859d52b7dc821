package webhook

import (
	"context"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// way is a compiled webhooks.Verification.
type way struct {
	scheme    webhooks.Scheme
	when      conditions
	signature source
	encoding  webhooks.Encoding
	algorithm algorithm
	signed    template
	key       webhooks.Key
	keyURL    *reference
	addresses []webhooks.URLPattern
	timestamp *timestamp
	each      []string
	bodyHash  *bodyHash
	token     *token
}

func compileWay(v *webhooks.Verification) way {
	w := way{
		scheme: v.Scheme, when: compileConditions(v.When), signature: compileSource(v.Signature),
		encoding: v.Encoding, algorithm: algorithms[v.Algorithm], signed: compileTemplate(v.Signed), key: v.Key,
		timestamp: compileTimestamp(v.Timestamp), bodyHash: compileBodyHash(v.BodyHash), token: compileToken(v.JWT),
	}
	if v.Each != "" {
		w.each = strings.Split(v.Each, ".")
	}
	if v.Key.CertificateURL != "" {
		ref := compileFrom(v.Key.CertificateURL)
		w.keyURL = &ref
		w.addresses = compileAddresses(v.Key.Addresses)
	}
	return w
}

func (w *way) reject(reason Reason) *Rejection { return &Rejection{Reason: reason, Scheme: w.scheme} }

// verify verifies the request, or each element of it.
func (w *way) verify(ctx context.Context, v *view, secrets []secret.Text) (Verified, error) {
	if w.each == nil {
		return w.verifyOne(ctx, v, secrets)
	}
	defer func() { v.each = nil }()
	var verified Verified
	n := 0
	for element := range v.document().find(w.each).elements {
		if n++; n > maxEach {
			return Verified{}, w.reject(ReasonMalformedSignature)
		}
		v.each = element
		one, err := w.verifyOne(ctx, v, secrets)
		if err != nil {
			return Verified{}, err
		}
		verified = one
	}
	if n == 0 {
		return Verified{}, w.reject(ReasonMissingSignature)
	}
	return verified, nil
}

// verifyOne checks in the order that tells most: form first, then the
// signature, and the time window only of what is authentic.
func (w *way) verifyOne(ctx context.Context, v *view, secrets []secret.Text) (Verified, error) {
	if w.scheme == webhooks.SchemeUnsigned {
		return Verified{Scheme: w.scheme, Secret: -1}, nil
	}
	if w.scheme == webhooks.SchemeHook {
		return w.callHook(ctx, v, secrets)
	}
	var room [maxCandidates]string
	candidates, err := w.signature.candidates(v, room[:0])
	if err != "" {
		return Verified{}, w.reject(err)
	}
	var at time.Time
	if w.timestamp != nil {
		text, parsed, reason := w.timestamp.read(v)
		if reason != "" {
			return Verified{}, w.reject(reason)
		}
		v.timestamp, at = text, parsed
	}
	index, failure := w.check(ctx, v, candidates, secrets)
	if failure != nil {
		return Verified{}, failure
	}
	if w.bodyHash != nil && w.scheme != webhooks.SchemeJWT && !w.bodyHash.holds(v) {
		return Verified{}, w.reject(ReasonBadBodyHash)
	}
	if w.timestamp != nil {
		if rejection := w.timestamp.within(at, v.request.Now); rejection != nil {
			rejection.Scheme = w.scheme
			return Verified{}, rejection
		}
	}
	return Verified{Scheme: w.scheme, Secret: index, Timestamp: at}, nil
}

// check verifies the candidates by the scheme and returns the index of the
// secret that did.
func (w *way) check(ctx context.Context, v *view, candidates []string, secrets []secret.Text) (int, error) {
	switch w.scheme {
	case webhooks.SchemeHMAC:
		return w.checkHMAC(v, candidates, secrets)
	case webhooks.SchemeDigest:
		return w.checkDigest(v, candidates, secrets)
	case webhooks.SchemeEd25519, webhooks.SchemeECDSA, webhooks.SchemeRSA:
		return w.checkPublicKey(ctx, v, candidates, secrets)
	case webhooks.SchemeSharedSecret:
		return w.checkShared(candidates, secrets)
	case webhooks.SchemeJWT:
		return w.checkToken(ctx, v, candidates, secrets)
	}
	return -1, w.reject(ReasonUnsupported)
}

func (w *way) callHook(ctx context.Context, v *view, secrets []secret.Text) (Verified, error) {
	if v.engine.webhook.Hook == nil {
		return Verified{}, w.reject(ReasonUnsupported)
	}
	if err := v.engine.webhook.Hook(ctx, &v.request, secrets); err != nil {
		return Verified{}, w.reject(ReasonRefusedByHook)
	}
	return Verified{Scheme: w.scheme, Secret: -1}, nil
}

// source is a compiled webhooks.Source.
type source struct {
	ref               reference
	separator, prefix string
}

func compileSource(s webhooks.Source) source {
	return source{ref: compileFrom(s.From), separator: s.Separator, prefix: s.Prefix}
}

// candidates appends the values that stand at the source, without the prefix.
func (s *source) candidates(v *view, dst []string) ([]string, Reason) {
	value, count := v.lookup(s.ref)
	switch {
	case count == 0 || value == "":
		return nil, ReasonMissingSignature
	case count > 1:
		return nil, ReasonMalformedSignature
	case s.separator == "":
		rest, ok := strings.CutPrefix(value, s.prefix)
		if !ok || rest == "" {
			return nil, ReasonMalformedSignature
		}
		return append(dst, rest), ""
	}
	seen := 0
	for item := range strings.SplitSeq(value, s.separator) {
		if seen++; seen > maxCandidates {
			return nil, ReasonMalformedSignature
		}
		if rest, ok := strings.CutPrefix(item, s.prefix); ok && rest != "" {
			dst = append(dst, rest)
		}
	}
	if len(dst) == 0 {
		return nil, ReasonMalformedSignature
	}
	return dst, ""
}
