package ingress

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// A delivery that comes again is answered as a success and not published again.
// Four memories decide, each where the one before it ends:
//
//	recent.flights  copies that arrive while the first is being stored: they join it
//	recent.young,   what this process stored lately: no question to anybody
//	recent.old
//	Deliveries      what anybody stored in the last days: written by the consumers of the
//	                stream, so that storing stays one write; read only for what
//	                a sieve in memory may hold
//	the stream      its window of minutes is the judge of copies that reach
//	                several processes at once, and covers the time until
//	                consumers have written
//
// What is left: a retry that comes after the stream's window while no executor
// has read the stream since the first copy, to a process that did not store it.

// maxRecent bounds the deliveries that a process remembers, about 2 MB: what fits
// into a processor's cache costs each delivery a fraction of what the memory does.
const maxRecent = 32_768

type fingerprint [16]byte

// errAbandoned is the outcome of a flight that had none.
var errAbandoned = connectors.Errorf(connectors.CodeInternal, "internal error")

// recent is what this process stored lately, and what it is storing.
type recent struct {
	horizon time.Duration // of what is known

	mu      sync.Mutex
	flights map[fingerprint]*flight
	// Unix nanoseconds at which a delivery was stored, in two generations: what is new
	// goes into young, which becomes old when it is full. Maps without pointers cost
	// the garbage collector nothing.
	young, old map[fingerprint]int64
}

// flight is a delivery that is being stored.
type flight struct {
	done    chan struct{}     // made by the first copy that waits
	refusal *connectors.Error // once done is closed
}

func newRecent(horizon time.Duration) *recent {
	return &recent{horizon: horizon, flights: map[fingerprint]*flight{}, young: map[fingerprint]int64{}}
}

func (m *recent) knowsLocked(id fingerprint) bool {
	at, ok := m.young[id]
	if !ok {
		at, ok = m.old[id]
	}
	return ok && time.Since(time.Unix(0, at)) < m.horizon
}

func (m *recent) noteLocked(id fingerprint) {
	if len(m.young) >= maxRecent/2 {
		m.old, m.young = m.young, make(map[fingerprint]int64, maxRecent/2)
	}
	m.young[id] = time.Now().UnixNano()
}

// once lets store run for the first copy of a delivery; others wait for it and
// share its fate. duplicate is true for those, and for what is known already.
// store reports whether somebody else had stored it. Where nothing tells copies
// apart, messageID is "", and store runs.
func (m *recent) once(ctx context.Context, messageID string, store func() (bool, *connectors.Error)) (duplicate bool, refusal *connectors.Error) {
	if messageID == "" {
		return store()
	}
	sum := sha256.Sum256([]byte(messageID))
	id := fingerprint(sum[:16])
	m.mu.Lock()
	if m.knowsLocked(id) {
		m.mu.Unlock()
		return true, nil
	}
	if f, ok := m.flights[id]; ok {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		m.mu.Unlock()
		select {
		case <-f.done:
			return true, f.refusal
		case <-ctx.Done():
			return false, storeError(ctx.Err())
		}
	}
	// A panic in store leaves a refusal behind, not waiters for ever.
	f := &flight{refusal: errAbandoned}
	m.flights[id] = f
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.flights, id)
		if f.refusal == nil {
			m.noteLocked(id)
		}
		if f.done != nil {
			close(f.done)
		}
		m.mu.Unlock()
	}()
	duplicate, f.refusal = store()
	return duplicate, f.refusal
}

// storedBefore asks the memory that all processes share. If it cannot be asked,
// the delivery goes on: twice is better than not at all.
func (i *Ingress) storedBefore(ctx context.Context, messageID string) bool {
	seen, err := i.Deliveries.Seen(ctx, messageID)
	if err != nil {
		i.log.Warn().Err(err).Msg("the memory of deliveries was not asked")
	}
	return seen
}
