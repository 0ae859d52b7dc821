package ingress

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

var (
	errBodyTooLarge = errors.New("the body is too large")
	errBodyBroken   = errors.New("the body could not be read")
)

// grownFrom is what a body gets before its first byte, whatever length it claims.
const grownFrom = 64 << 10

// readBody reads a body whole, or says why not: errBodyTooLarge beyond limit,
// never a truncated body; errBodyBroken if it ends early, is malformed, or is
// slower than the server's read timeout. That timeout is over once the body is
// here: it would otherwise end requests that wait for a result.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errBodyTooLarge
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, grownFrom)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, errBodyBroken
	}
	// A writer that has no deadlines needs none taken off.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body.Bytes(), nil
}

func tooLarge(limit int64) *connectors.Error {
	return connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the body is larger than %d bytes", limit)
}

// bodyError is the problem of a body that could not be read; code is what a
// malformed one is.
func bodyError(err error, limit int64, code connectors.Code) *connectors.Error {
	if errors.Is(err, errBodyTooLarge) {
		return tooLarge(limit)
	}
	return connectors.Errorf(code, "the body could not be read: it ended early, is malformed, or took too long")
}
