package events

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the bus. ErrUnavailable is every failure of the server: it is stopped,
// paused or full, or has no such stream. The call can be repeated.
var (
	ErrUnavailable = errors.New("events: NATS is unavailable")
	ErrExists      = errors.New("events: the subject already holds a message")
	// ErrInProgress comes with ErrExists if the other message is not stored yet, which
	// may still fail.
	ErrInProgress = errors.New("events: another message on the subject is being stored")
	ErrNotFound   = errors.New("events: no such message")
	// ErrConflict is for a request whose id another request with other input has.
	ErrConflict = errors.New("events: the request id was used with other input")
	// ErrFull comes with ErrUnavailable if the stream has reached its limits.
	ErrFull     = errors.New("events: the stream is full")
	ErrTooLarge = errors.New("events: the message is larger than the server accepts")
)

// unavailable returns err as [ErrUnavailable].
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Codes of the server that the client has no names for.
const (
	codeResources    = 10002 // the account's store is full; its status is that of a malformed request, 400
	codeStoreFailed  = 10077 // the text says why: a limit of the stream, or a failed write
	codeHeaderTooBig = 10097
)

// storeFailed reports whether a stream's store could not write, other than for its limits.
func storeFailed(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeStoreFailed && !strings.Contains(api.Description, "maximum ")
}

// classify returns the error of a publish as one of the bus.
func classify(err error) error {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			return ErrTooLarge
		case errors.Is(err, nats.ErrBadSubject):
			return fmt.Errorf("%w: %w", ErrSubject, err)
		}
		return unavailable(err)
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return ErrExists
	case jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fmt.Errorf("%w: %w", ErrExists, ErrInProgress)
	case jetstream.JSErrCodeStreamMessageExceedsMaximum, codeHeaderTooBig:
		return ErrTooLarge
	case codeResources:
		return unavailable(fmt.Errorf("%w: %w", ErrFull, err))
	case codeStoreFailed:
		if !storeFailed(err) {
			return unavailable(fmt.Errorf("%w: %w", ErrFull, err))
		}
	}
	if api.Code == 400 {
		return fmt.Errorf("events: the server refused the message: %w", err)
	}
	return unavailable(err)
}

// refused returns an error of the server as it is, and any other as
// [ErrUnavailable].
func refused(err error) error {
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return err
	}
	return unavailable(err)
}
