package ingress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	// smallBody is what a delivery may bring without a place of its own.
	smallBody = 64 << 10
	// mostBulky bounds the bodies between that and 1 MiB that are held at once.
	mostBulky = 256
)

// readDelivery reads the body of a delivery whole; done gives its place back.
//
// Whoever sends slowly holds up nobody: the request gives its slot back while it
// is read, small bodies need no other place, and what grows needs one of few, so
// that strangers can neither fill the memory nor keep small deliveries out.
func (i *Ingress) readDelivery(w http.ResponseWriter, r *http.Request, hook *connectors.Webhook) (body []byte, done func(), err error) {
	done = func() {}
	limit := hook.BodyLimit()
	if r.ContentLength > limit {
		return nil, done, tooLarge(limit)
	}
	<-i.slots
	defer func() { i.slots <- struct{}{} }()
	reader := http.MaxBytesReader(w, r.Body, limit)
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), smallBody)) + bytes.MinRead)
	_, err = buffer.ReadFrom(io.LimitReader(reader, smallBody+1))
	if err == nil && buffer.Len() > smallBody {
		places := i.bulky
		if limit > connectors.DefaultMaxBody && (r.ContentLength < 0 || r.ContentLength > connectors.DefaultMaxBody) {
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
	if err == nil {
		return buffer.Bytes(), done, nil
	}
	done()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, func() {}, tooLarge(limit)
	}
	return nil, func() {}, invalid("", "the body could not be read")
}
