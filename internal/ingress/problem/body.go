package problem

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// InitialBuffer bounds what is allocated for a body before its first byte, whatever
// length it claims.
const InitialBuffer = 4 << 10

// ReadBody reads a body whole. A body that is larger than limit, ends early, is
// malformed, or is slower than the server's read timeout is an error; code is that of
// a malformed body. The read timeout ends once the body is read: it would otherwise
// end requests that wait for a result.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64, code connectors.Code) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, TooLarge(limit, code)
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, InitialBuffer)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, OfBody(err, limit, code)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a writer without deadlines needs none removed
	return body.Bytes(), nil
}

// OfBody is the problem of a body whose reading failed.
func OfBody(err error, limit int64, code connectors.Code) *connectors.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge(limit, code)
	}
	return connectors.Errorf(code, "the body could not be read: it ended early, is malformed, or took too long")
}

// TooLarge is the problem of a body that is larger than limit; malformed is the code of a
// malformed one. Webhooks have a code of their own.
func TooLarge(limit int64, malformed connectors.Code) *connectors.Error {
	code := connectors.CodeRequestTooLarge
	if malformed == connectors.CodeConnectorWebhookValidationFailed {
		code = connectors.CodeConnectorWebhookTooLarge
	}
	return connectors.Errorf(code, "the body is larger than %d bytes", limit)
}
