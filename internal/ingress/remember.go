package ingress

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	mostRemembered = 20_000
	rememberedFor  = 10 * time.Minute // as long as the stream does
)

// memory knows the deliveries that the stream has acknowledged lately to this
// process, and those that are on their way. The stream has the last word: what
// is not known here may be known there.
type memory struct {
	mu     sync.Mutex
	stored *simplelru.LRU[string, time.Time] // message id → when it was acknowledged
	under  map[string]chan struct{}          // message id → closed when its outcome is known
}

func newMemory() *memory {
	stored, err := simplelru.NewLRU[string, time.Time](mostRemembered, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &memory{stored: stored, under: map[string]chan struct{}{}}
}

// once calls publish unless the stream is known to have the message. Of several
// copies at once one is published, and the others wait for it; if it fails, the
// next one tries. It reports whether the message is new.
func (m *memory) once(ctx context.Context, id string, publish func() (isNew bool, err error)) (isNew bool, err error) {
	if id == "" {
		return publish()
	}
	for {
		known, wait, mine := m.claim(id)
		if known {
			return false, nil
		}
		if mine {
			isNew, err = publish()
			m.release(id, err == nil)
			return isNew, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// claim says whether a message is stored, or else whether the caller is to
// publish it, or else what to wait for.
func (m *memory) claim(id string) (known bool, wait <-chan struct{}, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.stored.Get(id); ok && time.Since(at) < rememberedFor {
		return true, nil, false
	}
	if under, ok := m.under[id]; ok {
		return false, under, false
	}
	m.under[id] = make(chan struct{})
	return false, nil, true
}

func (m *memory) release(id string, stored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stored {
		m.stored.Add(id, time.Now())
	}
	close(m.under[id])
	delete(m.under, id)
}
