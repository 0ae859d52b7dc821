// Package fairness keeps one tenant's backlog of requests to a connector from delaying
// the requests of others.
//
//	limiter.go    concurrency slots of one process, divided between tenants
//	queuejump.go  requests in the stream that may pass a backlog
package fairness

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Limiter bounds how many calls run at once and divides the slots between keys: a key
// gets another slot only while it has fewer than three times as many as are free. A key
// that is alone can have three quarters of the slots, the next key always finds some,
// and several keys that want more than there is get equal parts. No call is interrupted.
//
// Urgent calls go first, and may also take some of the slots that are left free.
// A Limiter is safe for concurrent use.
type Limiter[K comparable] struct {
	mu      sync.Mutex
	free    int          // slots
	keys    map[K]usage  // keys that hold a slot or wait for one
	waiting []*waiter[K] // in order of arrival
	average time.Duration
}

const (
	// usedPerFree is how many slots a key may have for each free one.
	usedPerFree = 3
	// Bounds of [Limiter.RetryAt]. The server's scheduler has a resolution of 250 ms.
	shortestRetry, longestRetry = 250 * time.Millisecond, 30 * time.Second
)

type usage struct {
	running, urgent, waiting int
	retryAt                  time.Time // the last that RetryAt returned
}

type waiter[K comparable] struct {
	key      K
	urgent   bool
	admitted chan struct{}
}

// NewLimiter returns a limiter with a number of slots.
func NewLimiter[K comparable](slots int) *Limiter[K] {
	return &Limiter[K]{free: slots, keys: map[K]usage{}}
}

// Slot is one concurrency slot that a call holds.
type Slot[K comparable] struct {
	limiter *Limiter[K]
	key     K
	urgent  bool
	since   time.Time
}

// Acquire waits for a slot until ctx ends, and returns ctx's error then.
func (l *Limiter[K]) Acquire(ctx context.Context, key K, urgent bool) (Slot[K], error) {
	l.mu.Lock()
	if slot, ok := l.acquireLocked(key, urgent); ok {
		l.mu.Unlock()
		return slot, nil
	}
	w := &waiter[K]{key, urgent, make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.updateLocked(key, func(u *usage) { u.waiting++ })
	l.mu.Unlock()
	select {
	case <-w.admitted:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.waiting, w); i >= 0 {
			l.waiting = slices.Delete(l.waiting, i, i+1)
			l.updateLocked(key, func(u *usage) { u.waiting-- })
			return Slot[K]{}, ctx.Err()
		}
	}
	return l.slot(key, urgent), nil
}

// TryAcquire returns a slot if the key may have one now.
func (l *Limiter[K]) TryAcquire(key K, urgent bool) (Slot[K], bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acquireLocked(key, urgent)
}

// Release gives the slot to the calls that wait. Call it once.
func (s Slot[K]) Release() {
	l := s.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	l.average += (time.Since(s.since) - l.average) / 8
	l.free++
	l.updateLocked(s.key, func(u *usage) {
		u.running--
		if s.urgent {
			u.urgent--
		}
	})
	for l.admitLocked() {
	}
}

// RetryAt returns when a key that may have no slot now is to ask again. The times of one
// key follow each other about as fast as its calls can be run.
func (l *Limiter[K]) RetryAt(key K) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	u, known := l.keys[key]
	next := u.retryAt
	if earliest := now.Add(shortestRetry); next.Before(earliest) {
		next = earliest
	}
	next = next.Add(l.average / time.Duration(max(u.running, 1)))
	if next.Sub(now) > longestRetry {
		next = now.Add(longestRetry - rand.N(longestRetry/2))
	}
	if known {
		l.updateLocked(key, func(u *usage) { u.retryAt = next })
	}
	return next
}

// Available returns how many more slots a key could have now.
func (l *Limiter[K]) Available(key K) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(usedPerFree*l.free-l.keys[key].running, 0)
}

// Idle reports whether a key neither holds a slot nor waits for one.
func (l *Limiter[K]) Idle(key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.keys[key]
	return !known
}

// Running returns how many slots a key holds.
func (l *Limiter[K]) Running(key K) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[key].running
}

// Waiting returns how many calls wait for a slot.
func (l *Limiter[K]) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

func (l *Limiter[K]) slot(key K, urgent bool) Slot[K] { return Slot[K]{l, key, urgent, time.Now()} }

func (l *Limiter[K]) acquireLocked(key K, urgent bool) (Slot[K], bool) {
	if !l.mayAcquireLocked(key, urgent) {
		return Slot[K]{}, false
	}
	l.free--
	l.updateLocked(key, func(u *usage) {
		u.running++
		if urgent {
			u.urgent++
		}
	})
	return l.slot(key, urgent), true
}

func (l *Limiter[K]) mayAcquireLocked(key K, urgent bool) bool {
	u := l.keys[key]
	return l.free > 0 && (u.running < usedPerFree*l.free || urgent && u.urgent < l.free)
}

// admitLocked gives a slot to one waiter, if any may have one: urgent before normal, then
// the key with the fewest slots, then the first that came.
func (l *Limiter[K]) admitLocked() bool {
	best, fewest := -1, 0
	for i, w := range l.waiting {
		if !l.mayAcquireLocked(w.key, w.urgent) {
			continue
		}
		running := l.keys[w.key].running
		if best < 0 || w.urgent && !l.waiting[best].urgent || w.urgent == l.waiting[best].urgent && running < fewest {
			best, fewest = i, running
		}
	}
	if best < 0 {
		return false
	}
	w := l.waiting[best]
	l.waiting = slices.Delete(l.waiting, best, best+1)
	l.updateLocked(w.key, func(u *usage) { u.waiting-- })
	l.acquireLocked(w.key, w.urgent)
	close(w.admitted)
	return true
}

// updateLocked changes what is known of a key. A key without calls is forgotten, so that
// memory is bounded by the calls that run and wait.
func (l *Limiter[K]) updateLocked(key K, change func(*usage)) {
	u := l.keys[key]
	change(&u)
	if u.running == 0 && u.waiting == 0 {
		delete(l.keys, key)
		return
	}
	l.keys[key] = u
}
