package webhook

import (
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Reason says why a request was refused. It is for operators' evidence and
// metrics; the provider, or whoever it is, learns nothing but the refusal.
type Reason string

// The reasons.
const (
	ReasonUnsupported        Reason = "unsupported"         // no accepted way to sign applies to the request
	ReasonNoSecret           Reason = "no_secret"           // nothing is configured to verify with
	ReasonBadSecret          Reason = "bad_secret"          // what is configured is no key for this scheme
	ReasonMissingSignature   Reason = "missing_signature"   //
	ReasonMalformedSignature Reason = "malformed_signature" // repeated header, wrong prefix, encoding or length, too many
	ReasonMissingTimestamp   Reason = "missing_timestamp"   //
	ReasonMalformedTimestamp Reason = "malformed_timestamp" //
	ReasonMissingContent     Reason = "missing_content"     // a part of what is signed is absent
	ReasonBadSignature       Reason = "bad_signature"       //
	ReasonBadBodyHash        Reason = "bad_body_hash"       // the signed digest is of another body
	ReasonBadKeyAddress      Reason = "bad_key_address"     // the request names a certificate that is not the provider's
	ReasonWrongClaims        Reason = "wrong_claims"        // a token of another issuer, for another audience …
	ReasonStale              Reason = "stale"               // the signature holds, but is too old
	ReasonFuture             Reason = "future"              // the signature holds, but is from beyond our clock
	ReasonRefusedByHook      Reason = "refused_by_hook"     //
	ReasonWrongToken         Reason = "wrong_token"         // a handshake's verify token
	ReasonBadHandshake       Reason = "bad_handshake"       // a challenge that is missing, too long, or no text
)

// ErrKeysUnavailable is wrapped by errors that say nothing about the request:
// the provider's public keys could not be had. Answer 503, so that the
// provider tries again.
var ErrKeysUnavailable = errors.New("webhook: the provider's keys are unavailable")

// Rejection is the error of a request that does not verify. It holds nothing
// secret: no signature, ours or theirs, no secret, no body.
type Rejection struct {
	Reason Reason
	Scheme webhooks.Scheme
	// Skew is how far the request's clock is behind ours (negative: ahead),
	// where its timestamp could be read.
	Skew time.Duration
	// Handshake is the name of the handshake that was refused; "" for a delivery.
	Handshake string
	// Bare says that the provider wants no body with the refusal.
	Bare bool
}

func (r *Rejection) Error() string {
	if r.Scheme == "" {
		return fmt.Sprintf("webhook refused: %s", r.Reason)
	}
	return fmt.Sprintf("webhook refused: %s (%s)", r.Reason, r.Scheme)
}

// telling orders reasons by how much they say about what went wrong, so that
// with several ways to sign the evidence names the one that was meant.
func (r *Rejection) telling() int {
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
