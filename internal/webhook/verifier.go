package webhook

import (
	"context"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/jsondoc"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// verifier is a compiled webhooks.Verification.
type verifier struct {
	scheme       webhooks.Scheme
	when         conditions
	signature    source
	encoding     webhooks.Encoding
	algorithm    algorithm
	signed       template
	key          webhooks.Key
	certificate  *reference // URL of the certificate, if the request names it
	certificates []webhooks.URLPattern
	timestamp    *timestamp
	each         []string
	bodyHash     *bodyHash
	jwt          *jwt
}

func compileVerifier(d *webhooks.Verification) verifier {
	v := verifier{
		scheme: d.Scheme, when: compileConditions(d.When), signature: compileSource(d.Signature),
		encoding: d.Encoding, algorithm: algorithms[d.Algorithm], signed: compileTemplate(d.Signed), key: d.Key,
		timestamp: compileTimestamp(d.Timestamp), bodyHash: compileBodyHash(d.BodyHash), jwt: compileJWT(d.JWT),
	}
	if d.Each != "" {
		v.each = strings.Split(d.Each, ".")
	}
	if d.Key.CertificateURL != "" {
		ref := compileReference(d.Key.CertificateURL)
		v.certificate, v.certificates = &ref, compilePatterns(d.Key.Addresses)
	}
	return v
}

func (v *verifier) reject(reason Reason) *Rejection {
	return &Rejection{Reason: reason, Scheme: v.scheme}
}

// verify verifies the request, or each element of its body where the descriptor
// says so.
func (v *verifier) verify(ctx context.Context, in *input, secrets []secret.Text) (Verified, error) {
	if v.each == nil {
		return v.verifyOne(ctx, in, secrets)
	}
	defer func() { in.element = jsondoc.Value{} }()
	var verified Verified
	n := 0
	for _, in.element = range in.document().Find(v.each...).Elements() {
		if n++; n > maxElements {
			return Verified{}, v.reject(ReasonMalformedSignature)
		}
		var err error
		if verified, err = v.verifyOne(ctx, in, secrets); err != nil {
			return Verified{}, err
		}
	}
	if n == 0 {
		return Verified{}, v.reject(ReasonMissingSignature)
	}
	return verified, nil
}

// verifyOne checks the syntax, then the signature, then the time window, so that
// only authentic requests are reported as stale.
func (v *verifier) verifyOne(ctx context.Context, in *input, secrets []secret.Text) (Verified, error) {
	switch v.scheme {
	case webhooks.SchemeUnsigned:
		return Verified{Scheme: v.scheme, Secret: -1}, nil
	case webhooks.SchemeHook:
		return v.callHook(ctx, in, secrets)
	}
	candidates, reason := v.signature.candidates(in)
	if reason != "" {
		return Verified{}, v.reject(reason)
	}
	var at time.Time
	if v.timestamp != nil {
		if in.timestamp, at, reason = v.timestamp.read(in); reason != "" {
			return Verified{}, v.reject(reason)
		}
	}
	index, err := v.verifySignature(ctx, in, candidates, secrets)
	if err != nil {
		return Verified{}, err
	}
	if v.bodyHash != nil && v.scheme != webhooks.SchemeJWT && !v.bodyHash.matches(in) {
		return Verified{}, v.reject(ReasonBadBodyHash)
	}
	if v.timestamp != nil {
		if reason, skew := v.timestamp.checkWindow(at, in.request.Now); reason != "" {
			return Verified{}, &Rejection{Reason: reason, Scheme: v.scheme, Skew: skew}
		}
	}
	return Verified{Scheme: v.scheme, Secret: index, Timestamp: at}, nil
}

// verifySignature returns the index of the secret by which one of the candidates
// is valid, -1 if the scheme uses none.
func (v *verifier) verifySignature(ctx context.Context, in *input, candidates []string, secrets []secret.Text) (int, error) {
	switch v.scheme {
	case webhooks.SchemeHMAC, webhooks.SchemeDigest:
		return v.verifyDigest(in, candidates, secrets)
	case webhooks.SchemeEd25519, webhooks.SchemeECDSA, webhooks.SchemeRSA:
		return v.verifyPublicKey(ctx, in, candidates, secrets)
	case webhooks.SchemeSharedSecret:
		return v.verifySharedSecret(candidates, secrets)
	case webhooks.SchemeJWT:
		return v.verifyJWT(ctx, in, candidates, secrets)
	}
	return -1, v.reject(ReasonUnsupported)
}

// trySecrets calls verify with each secret and returns the index of the first
// for which it returns nil. Absent secrets are skipped. If there is none, the
// error is the last rejection; a secret that is no key of the scheme counts
// only if all are.
func (v *verifier) trySecrets(secrets []secret.Text, verify func(secret.Text) *Rejection) (int, error) {
	rejection := v.reject(ReasonNoSecret)
	for i, text := range secrets {
		if text.IsZero() {
			continue
		}
		refused := verify(text)
		if refused == nil {
			return i, nil
		}
		if refused.Reason != ReasonBadSecret || rejection.Reason == ReasonNoSecret {
			rejection = refused
		}
	}
	return -1, rejection
}

func (v *verifier) callHook(ctx context.Context, in *input, secrets []secret.Text) (Verified, error) {
	hook := in.engine.descriptor.Hook
	if hook == nil {
		return Verified{}, v.reject(ReasonUnsupported)
	}
	if err := hook(ctx, &in.request, secrets); err != nil {
		return Verified{}, v.reject(ReasonRefusedByHook)
	}
	return Verified{Scheme: v.scheme, Secret: -1}, nil
}
