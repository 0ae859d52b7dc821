package problem

import (
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// NotFoundError says that a stream has no such message. It has no code: the codes of
// 404 are about connectors and connections.
type NotFoundError string

func (e NotFoundError) Error() string { return string(e) }

// Invalid is a request with one wrong parameter; path "" is the request itself.
func Invalid(path, message string) *connectors.Error {
	return InvalidFields(schema.FieldError{Path: path, Message: message})
}

// InvalidFields is a request with wrong parameters.
func InvalidFields(fields ...schema.FieldError) *connectors.Error {
	e := connectors.Errorf(connectors.CodeRequestInvalid, "the request is not valid")
	e.Errors = fields
	return e
}

// Overloaded is a request beyond a limit on how much is done at once: 503.
func Overloaded(message string) *connectors.Error {
	return retrySoon(connectors.CodeConnectorUnavailable, message)
}

// RateLimited is a request beyond a rate: 429.
func RateLimited(message string) *connectors.Error {
	return retrySoon(connectors.CodeConnectorRateLimited, message)
}

func retrySoon(code connectors.Code, message string) *connectors.Error {
	e := connectors.Errorf(code, "%s; try again", message)
	e.RetryAfter = time.Second
	return e
}

// OfStream is the error of a stream that could not be read or written. A message
// that no stream can store is the caller's mistake, so that trying again does not help.
func OfStream(err error) *connectors.Error {
	if errors.Is(err, events.ErrRequest) {
		e := connectors.Errorf(connectors.CodeRequestInvalid, "%w", err)
		e.Errors = []schema.FieldError{{Path: "id", Message: "cannot be carried by a request"}}
		return e
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the stream did not answer; nothing was promised, try again")
	e.Cause, e.RetryAfter = err, time.Second
	return e
}
