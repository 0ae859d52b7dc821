package receive

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

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
	// One connection, or one app, has at most an eighth or a quarter of them.
	maxMediumBodiesEach = 32
	maxLargeBodiesEach  = 2

	// What is beyond smallBody has to come at minBodyRate bytes a second, with some time
	// to begin, within longestBody.
	minBodyRate = 64 << 10
	bodyGrace   = 2 * time.Second
	longestBody = 15 * time.Second
)

// bodies reads the bodies of deliveries. A slow sender must not hold up others: a
// request gives its slot back while its body is read, small bodies need no other
// slot, and larger ones need one of few and a minimum rate, so that senders can neither
// fill the memory nor keep small deliveries out.
type bodies struct {
	requests      *semaphore.Weighted
	medium, large *bodySlots
}

func newBodies(requests *semaphore.Weighted) *bodies {
	return &bodies{requests, newBodySlots(maxMediumBodies, maxMediumBodiesEach), newBodySlots(maxLargeBodies, maxLargeBodiesEach)}
}

// bodySlots are slots of which each owner may hold some.
type bodySlots struct {
	all, each int

	mu    sync.Mutex
	held  int            // guarded by mu, like owner
	owner map[string]int // slots by owner
}

func newBodySlots(all, each int) *bodySlots {
	return &bodySlots{all: all, each: each, owner: map[string]int{}}
}

// tryAcquire returns nil if there is no slot for owner now.
func (s *bodySlots) tryAcquire(owner string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == s.all || s.owner[owner] == s.each {
		return nil
	}
	s.held++
	s.owner[owner]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held--
		if s.owner[owner]--; s.owner[owner] == 0 {
			delete(s.owner, owner)
		}
	}
}

// read reads the body of a delivery whole, as [problem.ReadBody] does. owner is the
// connection or the app that it is for. release gives its slot back.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64, owner string) (body []byte, release func(), err error) {
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
		slots, size := b.medium, r.ContentLength
		if size < 0 {
			size = limit
		}
		if size > webhooks.DefaultMaxBody {
			slots = b.large
		}
		slot := slots.tryAcquire(owner)
		if slot == nil {
			return nil, release, problem.Overloaded("too many large deliveries at once")
		}
		release = slot
		deadlines := http.NewResponseController(w)
		_ = deadlines.SetReadDeadline(time.Now().Add(min(bodyGrace+time.Duration(size)*time.Second/minBodyRate, longestBody)))
		_, err = buffer.ReadFrom(reader)
		_ = deadlines.SetReadDeadline(time.Time{}) // a writer without deadlines needs none
	}
	if err != nil {
		release()
		return nil, func() {}, problem.OfBody(err, limit, code)
	}
	return buffer.Bytes(), release, nil
}
