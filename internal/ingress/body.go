package ingress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

var (
	errBodyTooLarge = errors.New("the body is too large")
	errBodyBroken   = errors.New("the body could not be read")
)

// grownFrom is the most that a body gets before its first byte, whatever length it
// claims: what a connection has for its buffers anyway.
const grownFrom = 4 << 10

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
	if err != nil {
		return nil, brokenOrTooLarge(err)
	}
	// A writer that has no deadlines needs none taken off.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body.Bytes(), nil
}

const (
	// smallBody is what a delivery may bring without a place of its own.
	smallBody = 64 << 10
	// mostBulky bounds the bodies between that and 1 MiB that are held at once,
	// and mostLarge those above.
	mostBulky = 256
	mostLarge = 8
)

// readDelivery reads the body of a delivery whole, as [readBody] does; done gives
// its place back.
//
// Whoever sends slowly holds up nobody: the request gives its slot back while it
// is read, small bodies need no other place, and what grows needs one of few, so
// that strangers can neither fill the memory nor keep small deliveries out.
func (i *Ingress) readDelivery(w http.ResponseWriter, r *http.Request, hook *webhooks.Descriptor) (body []byte, done func(), err error) {
	done = func() {}
	limit := hook.BodyLimit()
	if r.ContentLength > limit {
		return nil, done, errBodyTooLarge
	}
	<-i.slots
	defer func() { i.slots <- struct{}{} }()
	reader := http.MaxBytesReader(w, r.Body, limit)
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), grownFrom)) + bytes.MinRead)
	_, err = buffer.ReadFrom(io.LimitReader(reader, smallBody+1))
	if err == nil && buffer.Len() > smallBody {
		places := i.bulky
		if limit > webhooks.DefaultMaxBody && (r.ContentLength < 0 || r.ContentLength > webhooks.DefaultMaxBody) {
			places = i.large
		}
		select {
		case places <- struct{}{}:
			done = func() { <-places }
		default:
			e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "too many large deliveries at once; try again")
			e.RetryAfter = time.Second
			return nil, done, e
		}
		_, err = buffer.ReadFrom(reader)
	}
	if err != nil {
		done()
		return nil, func() {}, brokenOrTooLarge(err)
	}
	return buffer.Bytes(), done, nil
}

func brokenOrTooLarge(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodyTooLarge
	}
	return errBodyBroken
}

// tooLarge refuses a body; code is what a malformed one is.
func tooLarge(limit int64, code connectors.Code) *connectors.Error {
	if code == connectors.CodeConnectorWebhookValidationFailed {
		return connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the body is larger than %d bytes", limit)
	}
	e := connectors.Errorf(code, "the body is larger than %d bytes", limit)
	e.Reason = reasonTooLarge
	return e
}

// bodyError is the problem of a body that could not be read; code is what a
// malformed one is.
func bodyError(err error, limit int64, code connectors.Code) *connectors.Error {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e
	}
	if errors.Is(err, errBodyTooLarge) {
		return tooLarge(limit, code)
	}
	return connectors.Errorf(code, "the body could not be read: it ended early, is malformed, or took too long")
}
