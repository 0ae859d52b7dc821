package webhook

import (
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Reason says why a request was refused. It is for the operator's evidence and
// metrics; the sender learns only that the request was refused.
type Reason string

// The reasons.
const (
	ReasonUnsupported        Reason = "unsupported"         // no verification of the descriptor applies to the request
	ReasonNoSecret           Reason = "no_secret"           // no secret is configured
	ReasonBadSecret          Reason = "bad_secret"          // the configured secret is no key of the scheme
	ReasonMissingSignature   Reason = "missing_signature"   //
	ReasonMalformedSignature Reason = "malformed_signature" // repeated header, wrong prefix, encoding or length, too many
	ReasonMissingTimestamp   Reason = "missing_timestamp"   //
	ReasonMalformedTimestamp Reason = "malformed_timestamp" //
	ReasonMissingContent     Reason = "missing_content"     // a part of what is signed is absent
	ReasonBadSignature       Reason = "bad_signature"       //
	ReasonBadBodyHash        Reason = "bad_body_hash"       // the signed digest is of another body
	ReasonBadKeyAddress      Reason = "bad_key_address"     // the request names a certificate that is not the provider's
	ReasonWrongClaims        Reason = "wrong_claims"        // a token of another issuer, for another audience …
	ReasonStale              Reason = "stale"               // the signature is valid, but too old
	ReasonFuture             Reason = "future"              // the signature is valid, but its time is too far ahead of our clock
	ReasonRefusedByHook      Reason = "refused_by_hook"     //
	ReasonWrongToken         Reason = "wrong_token"         // the verify token of a handshake
	ReasonBadHandshake       Reason = "bad_handshake"       // a challenge that is absent, too long, or not text
)

// ErrKeysUnavailable is wrapped by errors that do not depend on the request: the
// provider's public keys could not be fetched. Answer 503, so that the provider
// tries again.
var ErrKeysUnavailable = errors.New("webhook: the provider's keys are unavailable")

// Rejection is the error of a request that does not verify. It contains nothing
// secret: no signature, no secret, no body.
type Rejection struct {
	Reason Reason
	Scheme webhooks.Scheme
	// Skew is how far the request's clock is behind ours (negative: ahead), if
	// its timestamp could be read.
	Skew time.Duration
	// Handshake is the name of the handshake that was refused; "" for a delivery.
	Handshake string
	// NoBody says that the provider requires a refusal without a body.
	NoBody bool
}

func (r *Rejection) Error() string {
	if r.Scheme == "" {
		return fmt.Sprintf("webhook refused: %s", r.Reason)
	}
	return fmt.Sprintf("webhook refused: %s (%s)", r.Reason, r.Scheme)
}

// specificity orders reasons by how far verification came, so that of several
// verifications the evidence names the one that the sender meant.
func (r *Rejection) specificity() int {
	switch r.Reason {
	case ReasonUnsupported:
		return 0
	case ReasonMissingSignature, ReasonNoSecret:
		return 1
	case ReasonBadSecret, ReasonMissingTimestamp, ReasonMissingContent:
		return 2
	case ReasonMalformedSignature, ReasonMalformedTimestamp:
		return 3
	case ReasonStale, ReasonFuture, ReasonWrongClaims, ReasonBadBodyHash:
		return 5
	}
	return 4
}
