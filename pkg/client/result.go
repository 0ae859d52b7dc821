package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// ErrNoResult is returned for a request without a result: it has not finished, its
// result has expired (24 h by default), or it does not exist.
var ErrNoResult = errors.New("client: no result")

// PendingError is the error of an [Action.Call] that ended before its result.
type PendingError struct {
	ID string // of the request, for [Action.Result]
	// Stored says that the stream has acknowledged the request, so that it will have a
	// result. If false the request may be stored or not; repeating it with the ID is safe.
	Stored bool
	// Err is the cause: the end of ctx, or a *[connectors.Error].
	Err error
}

// Error says whether the request is stored.
func (e *PendingError) Error() string {
	if e.Stored {
		return fmt.Sprintf("request %s is stored and has no result yet: %v", e.ID, e.Err)
	}
	return fmt.Sprintf("request %s may or may not be stored: %v", e.ID, e.Err)
}

// Unwrap returns the cause.
func (e *PendingError) Unwrap() error { return e.Err }

// publishError returns an error of the bus with its code.
func publishError(err error) error {
	if err == nil {
		return nil
	}
	e := connectors.Errorf(connectors.CodeInternal, "the request was refused")
	switch {
	case errors.Is(err, events.ErrUnavailable):
		e.Code, e.Message, e.RetryAfter = connectors.CodeConnectorDatabaseFailed, "the stream did not acknowledge the request", time.Second
	case errors.Is(err, events.ErrRequest), errors.Is(err, events.ErrSubject):
		e.Code, e.Message = connectors.CodeConnectorActionInputInvalid, "a name or the ID of the request is malformed or too long"
	case errors.Is(err, events.ErrTooLarge):
		e.Code, e.Message = connectors.CodeRequestTooLarge, "the input is larger than a message can be"
	case errors.Is(err, events.ErrConflict):
		e.Code, e.Message = connectors.CodeConnectorIdempotencyConflict, "the ID was used with another input, and this request did not run: use a new ID"
	}
	e.Cause = err
	return e
}

// outcome returns the output of a result, or its error.
func outcome(result events.Event) (json.RawMessage, error) {
	var body struct {
		Data  json.RawMessage   `json:"data"`
		Error *connectors.Error `json:"error"`
	}
	err := json.Unmarshal(result.Data(), &body)
	switch {
	case err == nil && result.Type() == events.ActionFailed.Type() && body.Error != nil:
		return nil, body.Error
	case err == nil && result.Type() == events.ActionCompleted.Type() && body.Error == nil:
		return body.Data, nil
	}
	return nil, connectors.Errorf(connectors.CodeInternal, "the result cannot be read")
}

func decodeOutput[Out any](data json.RawMessage, ref events.ActionRef) (Out, error) {
	var out Out
	if err := json.Unmarshal(data, &out); err != nil {
		e := connectors.Errorf(connectors.CodeConnectorActionOutputInvalid, "the output of %s.%s does not fit %T", ref.Connector, ref.Action, out)
		e.Cause = err
		return out, e
	}
	return out, nil
}
