package receive

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

const (
	// smallBody is the largest body that needs no slot of its own.
	smallBody = 64 << 10
	// maxMediumBodies bounds the bodies between that and 1 MiB that are held at once,
	// and maxLargeBodies those above.
	maxMediumBodies = 256
	maxLargeBodies  = 8
)

// bodies reads the bodies of deliveries. A slow sender must not hold up others: a
// request gives its slot back while its body is read, small bodies need no other
// slot, and larger ones need one of few, so that senders can neither fill the memory
// nor keep small deliveries out.
type bodies struct {
	requests      *semaphore.Weighted
	medium, large *semaphore.Weighted
}

func newBodies(requests *semaphore.Weighted) *bodies {
	return &bodies{requests, semaphore.NewWeighted(maxMediumBodies), semaphore.NewWeighted(maxLargeBodies)}
}

// read reads the body of a delivery whole, as [problem.ReadBody] does. release gives
// its slot back.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	const code = connectors.CodeConnectorWebhookValidationFailed
	release = func() {}
	if r.ContentLength > limit {
		return nil, release, problem.TooLarge(limit, code)
	}
	b.requests.Release(1)
	defer func() { _ = b.requests.Acquire(context.WithoutCancel(r.Context()), 1) }()
	reader := http.MaxBytesReader(w, r.Body, limit)
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), problem.InitialBuffer)) + bytes.MinRead)
	_, err = buffer.ReadFrom(io.LimitReader(reader, smallBody+1))
	if err == nil && buffer.Len() > smallBody {
		slots := b.medium
		if limit > webhooks.DefaultMaxBody && (r.ContentLength < 0 || r.ContentLength > webhooks.DefaultMaxBody) {
			slots = b.large
		}
		if !slots.TryAcquire(1) {
			return nil, release, problem.Overloaded("too many large deliveries at once")
		}
		release = func() { slots.Release(1) }
		_, err = buffer.ReadFrom(reader)
	}
	if err != nil {
		release()
		return nil, func() {}, problem.OfBody(err, limit, code)
	}
	return buffer.Bytes(), release, nil
}
