package endpoint

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Kind says what a failed call means for the next one.
type Kind int

// The kinds.
const (
	Transient     Kind = iota // try again later
	InvalidGrant              // the code or the refresh token is refused for good
	InvalidClient             // the client's id or secret is refused
	Rejected                  // the request is refused: trying again does not help
)

// String returns the kind as the label of a metric.
func (k Kind) String() string {
	return []string{"transient", "denied", "bad_client", "refused"}[k]
}

// ErrNotSent is the cause of an error when the request was not sent, because its
// time was over.
var ErrNotSent = errors.New("the request was not sent: its lease is about to expire")

// Error is a failed call. It holds no text of the provider's but a known error code.
type Error struct {
	Kind         Kind
	Code         connectors.Code
	ProviderCode string // the server's error code (RFC 6749 section 5.2), or "unlisted_error"
	Status       int    // of HTTP; 0 without a response
	RetryAfter   time.Duration
	// MayHaveSucceeded says that the server may have issued tokens: no response came, or
	// it cannot be read.
	MayHaveSucceeded bool
	// Refusal says that the server refused this request as such, in no known word: it may
	// refuse the code or the token for good.
	Refusal bool

	cause error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case slices.Contains(safeCauses, e.cause):
		return e.cause.Error()
	case e.ProviderCode != "":
		return "the token endpoint answered " + e.ProviderCode
	case e.Status != 0 && e.Code == connectors.CodeConnectorOAuthParseTokenFailed:
		return "the response of the token endpoint holds no token"
	case e.Status != 0:
		return "the token endpoint answered " + strconv.Itoa(e.Status)
	case connectors.CallFailure(e.cause) != "":
		return "the token endpoint did not answer: " + connectors.CallFailure(e.cause)
	case e.cause != nil:
		return "the token endpoint did not answer"
	}
	return "the token endpoint failed"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Coded returns the error for callers of Hawser.
func (e *Error) Coded() *connectors.Error {
	if wrong, ok := errors.AsType[*connectors.Error](e.cause); ok && e.Code == connectors.CodeConnectorConfigInvalid {
		copied := *wrong
		return &copied
	}
	return &connectors.Error{Code: e.Code, Message: e.Error(), Reason: e.ProviderCode, ProviderStatus: e.Status, RetryAfter: e.RetryAfter, Cause: e.cause}
}

// Coded returns err for callers of Hawser, if it is an [Error]; else err itself.
func Coded(err error) error {
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed.Coded()
	}
	return err
}

// safeCauses are errors whose texts quote nothing of a secret.
var safeCauses = []error{errNoKey, errCannotSign, errNoCertificate, errConfigCertificate, errCertificateRefused, errOtherClient}

// errOtherClient is a grant of another client id.
var errOtherClient = errors.New("the grant was given to another client id: set that client id again, or have the user connect again")

// ErrorOtherClient returns the error of a grant that was given to another client than
// the app. What the grant's intent says stays valid.
func ErrorOtherClient() *Error {
	e := invalidClient(errOtherClient)
	e.MayHaveSucceeded = true
	return e
}

// invalidClient returns the error of a client secret with which no request can be
// made. The client's next secret may do.
func invalidClient(err error) *Error {
	return &Error{Kind: InvalidClient, Code: connectors.CodeConnectorOAuthNotConfigured, cause: err}
}

func invalidConfig(err error) *Error {
	return &Error{Kind: Rejected, Code: connectors.CodeConnectorConfigInvalid, cause: err}
}

// unreadable returns the error of a successful response without a token. Another
// party may have replaced the real response.
func unreadable(status int) *Error {
	return &Error{Kind: Transient, Code: connectors.CodeConnectorOAuthParseTokenFailed, Status: status, MayHaveSucceeded: true}
}

// noResponse returns the error of a request without a response. It distinguishes
// requests that cannot have reached the server from those that may have.
func noResponse(err error) *Error {
	e := &Error{Kind: Transient, Code: connectors.CodeConnectorOAuthTokenFailed, MayHaveSucceeded: true, cause: err}
	var dial *net.OpError
	switch {
	case safehttp.Refused(err):
		e.Kind, e.MayHaveSucceeded = Rejected, false
	case errors.Is(err, ErrNotSent), errors.As(err, &dial) && dial.Op == "dial":
		e.MayHaveSucceeded = false
	}
	return e
}

// Error codes by which servers refuse a code or a refresh token for good.
var invalidGrantCodes = []string{
	"invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "token_expired", "refresh_token_expired",
	"bad_verification_code", "invalid_code", "code_already_used", "access_denied", "invalid_token",
	"interaction_required", "login_required", "consent_required", "account_selection_required",
}

// Error codes by which servers refuse the client.
var invalidClientCodes = []string{
	"invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret", "invalid_client_secret",
}

// Error codes after which a later request may succeed.
var transientCodes = []string{"temporarily_unavailable", "server_error", "slow_down", "rate_limited", "ratelimited", "internal_error"}

// Error codes of the standards that mean none of the above.
var otherCodes = []string{
	"invalid_request", "invalid_scope", "unsupported_grant_type", "unsupported_response_type", "unsupported_token_type",
	"invalid_target",
	"redirect_uri_mismatch", "application_suspended", "invalid_redirect_uri", "org_login_required", "missing_scope",
}

// unlistedCode replaces every error code that is not known: what stands in its place
// could be anything, a secret too.
const unlistedCode = "unlisted_error"

// KnownErrorCode returns the error code in text if it is a known one, "" if there is
// none, and "unlisted_error" for every other.
func KnownErrorCode(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || text == "false" || text == "0" || text == "null" {
		return ""
	}
	for _, known := range [][]string{invalidGrantCodes, invalidClientCodes, transientCodes, otherCodes} {
		if slices.Contains(known, text) {
			return text
		}
	}
	return unlistedCode
}
