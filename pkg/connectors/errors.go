package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Error is a failure with a [Code]. The packages of Hawser return it, and API clients see
// it, so Message is written for people and contains neither secrets nor bodies. Cause is
// for the program (errors.Is, errors.As) and for debugging: it is never printed with the
// error and never serialised.
//
// JSON form:
//
//	{"code":"CONNECTOR_RATE_LIMITED","message":"…","errors":[{"path":"a.b","message":"…"}],
//	 "retry_after":30,"provider_status":429,"reason":"…"}
//
// All but code and message are left out when they are zero.
type Error struct {
	Code           Code
	Message        string
	Errors         []schema.FieldError
	RetryAfter     time.Duration // not before this time has passed; 0 if unknown. JSON: whole seconds, rounded up
	ProviderStatus int           // HTTP status of the provider; 0 if none
	Reason         string        // a finer reason where the code has several, e.g. "replayed"
	Cause          error
}

// Errorf returns an Error. An operand of %w becomes its Cause, and the cause's text
// part of the message: do that only with texts that people may see.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// AsError returns the error with its code.
//   - An *Error in the chain is returned as it is.
//   - A [ProviderError] becomes CONNECTOR_RATE_LIMITED (a limit, 429) or
//     CONNECTOR_ACTION_FAILED.
//   - context.DeadlineExceeded becomes CONNECTOR_ACTION_TIMEOUT.
//   - Everything else becomes INTERNAL, with a fixed message: its text may not be
//     for the public.
//
// nil stays nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Code: CodeInternal, Message: "internal error", Cause: err}
	if p, ok := errors.AsType[*ProviderError](err); ok {
		e.Code, e.Message = CodeConnectorActionFailed, p.Error()
		e.ProviderStatus, e.RetryAfter = p.Status, p.RetryAfter
		if p.RateLimited || p.Status == http.StatusTooManyRequests {
			e.Code = CodeConnectorRateLimited
		}
	} else if errors.Is(err, context.DeadlineExceeded) {
		e.Code, e.Message = CodeConnectorActionTimeout, "the deadline has passed"
	}
	if d, ok := RetryDelay(err); ok {
		e.RetryAfter = d
	}
	return e
}

// Error returns code and message.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error of the same code:
// errors.Is(err, &connectors.Error{Code: connectors.CodeForbidden}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Format prints what Error returns, whatever the verb: with %+v or %#v fmt would
// print the cause.
func (e Error) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// LogValue covers log/slog.
func (e Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", string(e.Code)), slog.String("message", e.Message)}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if e.ProviderStatus != 0 {
		attrs = append(attrs, slog.Int("provider_status", e.ProviderStatus))
	}
	return slog.GroupValue(attrs...)
}

// wireError is the JSON form of Error.
type wireError struct {
	Code           Code                `json:"code"`
	Message        string              `json:"message"`
	Errors         []schema.FieldError `json:"errors,omitempty"`
	RetryAfter     int64               `json:"retry_after,omitempty"`
	ProviderStatus int                 `json:"provider_status,omitempty"`
	Reason         string              `json:"reason,omitempty"`
}

// MarshalJSON writes the form shown at [Error].
func (e Error) MarshalJSON() ([]byte, error) {
	w := wireError{e.Code, e.Message, e.Errors, 0, e.ProviderStatus, e.Reason}
	if e.RetryAfter > 0 {
		w.RetryAfter = int64((e.RetryAfter + time.Second - 1) / time.Second)
	}
	return json.Marshal(w)
}

// UnmarshalJSON parses the form shown at [Error]. Unknown codes are kept.
func (e *Error) UnmarshalJSON(b []byte) error {
	var w wireError
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("connectors: not an error document: %w", err)
	}
	const longest = 365 * 24 * time.Hour // beyond it, a duration would overflow in the end
	after := min(max(w.RetryAfter, 0), int64(longest/time.Second))
	*e = Error{w.Code, w.Message, w.Errors, time.Duration(after) * time.Second, w.ProviderStatus, w.Reason, nil}
	return nil
}
