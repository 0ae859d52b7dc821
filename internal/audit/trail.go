// Package audit is the trail of who did what: the stream HAWSER_AUDIT, to which entries
// are only appended. Every entry has the hash of the one before it, and its own place in
// the stream, so that [Verify] finds an entry that was removed or changed.
//
//	trail.go   appending and reading entries
//	verify.go  checking an export
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// Outcome is what became of an operation.
type Outcome string

// The outcomes. An operation that was let through has two entries with one request id: one
// before it ran, without which it does not run, and one after it.
const (
	Started Outcome = "started"
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// Entry is one entry. It has no secrets and no payloads.
type Entry struct {
	Sequence uint64    `json:"sequence"` // in the stream
	Previous string    `json:"previous"` // SHA-256 of the entry before, in hex; "" for the first
	At       time.Time `json:"at"`
	// Actor is the name of the API token; empty for a caller that is not known.
	Actor     string  `json:"actor,omitempty"`
	Role      string  `json:"role,omitempty"`
	Via       string  `json:"via"` // http or nats
	Operation string  `json:"operation"`
	Outcome   Outcome `json:"outcome"`
	Status    int     `json:"status,omitempty"` // as in HTTP, once there is an answer
	Code      string  `json:"code,omitempty"`   // of the error
	// What the operation is about, as far as it says so.
	Scope     string `json:"scope,omitempty"`
	Identity  string `json:"identity,omitempty"`
	Connector string `json:"connector,omitempty"`
	Account   string `json:"account,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	// Unrecorded is how many refused attempts before this one have no entry, since there
	// were too many at once.
	Unrecorded uint64 `json:"unrecorded,omitempty"`
}

const (
	// refusedPerSecond and refusedBurst bound the entries of refused attempts of one process:
	// the stream is bounded too, and attempts must not drive everything else out of it.
	refusedPerSecond = 5
	refusedBurst     = 200
	// appendTimeout bounds one append, with the wait for those before it.
	appendTimeout = 5 * time.Second
	// maxRaces bounds how often an entry is appended again because another process was faster.
	maxRaces = 50
)

// Trail is the trail of one installation. Safe for concurrent use.
type Trail struct {
	queue   *queue.Queue
	refused *rate.Limiter

	appending *semaphore.Weighted // held while an entry is appended; guards what follows
	known     bool                // whether last and hash are those of the newest entry, as far as this process knows
	last      uint64
	hash      string

	unrecorded atomic.Uint64
}

// New returns the trail of a queue's installation.
func New(q *queue.Queue) *Trail {
	return &Trail{queue: q, refused: rate.NewLimiter(refusedPerSecond, refusedBurst), appending: semaphore.NewWeighted(1)}
}

// Append adds an entry, and returns once the stream has stored it. Sequence, Previous, At
// and TraceID are set here. An error is [events.ErrUnavailable]: then the entry may be stored.
func (t *Trail) Append(ctx context.Context, e Entry) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	if err := t.appending.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	}
	defer t.appending.Release(1)
	return t.append(ctx, e)
}

// Refuse adds the entry of a refused attempt, unless there are too many at once: those are
// counted in the next one. An entry that cannot be stored is counted too.
func (t *Trail) Refuse(ctx context.Context, e Entry) error {
	e.Outcome = Refused
	if !t.refused.Allow() {
		t.unrecorded.Add(1)
		return nil
	}
	e.Unrecorded = t.unrecorded.Swap(0)
	err := t.Append(ctx, e)
	if err != nil {
		t.unrecorded.Add(e.Unrecorded + 1)
	}
	return err
}

func (t *Trail) append(ctx context.Context, e Entry) error {
	e.At, e.TraceID = time.Now().UTC(), events.TraceID(ctx)
	for range maxRaces {
		if err := t.readLast(ctx); err != nil {
			return err
		}
		e.Sequence, e.Previous = t.last+1, t.hash
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		switch err := t.queue.Append(ctx, queue.Audit, data, t.last); {
		case err == nil:
			t.last, t.hash = e.Sequence, Hash(data)
			return nil
		case !errors.Is(err, events.ErrExists):
			t.known = false
			return err
		}
		t.known = false
	}
	return events.ErrUnavailable
}

// readLast reads the newest entry, unless it is known.
func (t *Trail) readLast(ctx context.Context) error {
	if t.known {
		return nil
	}
	state, err := t.queue.Streams.State(ctx, queue.Audit)
	if err != nil {
		return err
	}
	t.last, t.hash = state.Last, ""
	if state.Last > 0 {
		m, err := t.queue.Streams.Message(ctx, queue.Audit, state.Last)
		switch {
		case err == nil:
			t.hash = Hash(m.Data)
		case !errors.Is(err, events.ErrNotFound): // one that was removed shows in the chain
			return err
		}
	}
	t.known = true
	return nil
}

// Hash is the hash of an entry as it is stored, for Previous of the next one.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Before returns at most limit entries that match, newest first, of those before a
// sequence; 0 is the end. next is the sequence to go on with, 0 at the beginning. One call
// looks at a bounded number of entries, so there may be fewer than limit with a next.
func (t *Trail) Before(ctx context.Context, sequence uint64, limit int, matches func(Entry) bool) (found []Entry, next uint64, err error) {
	const maxLooked = 500
	state, err := t.queue.Streams.State(ctx, queue.Audit)
	if err != nil {
		return nil, 0, err
	}
	if sequence == 0 || sequence > state.Last {
		sequence = state.Last + 1
	}
	found = []Entry{}
	for range maxLooked {
		if sequence--; sequence == 0 || len(found) == limit {
			break
		}
		m, err := t.queue.Streams.Message(ctx, queue.Audit, sequence)
		if errors.Is(err, events.ErrNotFound) {
			if state.First > sequence {
				return found, 0, nil
			}
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		var e Entry
		if err := json.Unmarshal(m.Data, &e); err == nil && matches(e) {
			found = append(found, e)
		}
	}
	if sequence == 0 {
		return found, 0, nil
	}
	return found, sequence + 1, nil
}

// Export calls each with the entries as they are stored, oldest first, until each returns
// false.
func (t *Trail) Export(ctx context.Context, each func(data []byte) bool) error {
	return t.queue.Streams.Scan(ctx, queue.Audit, t.queue.Subjects.Audit(), time.Unix(0, 0), func(m *events.StoredMessage) bool { return each(m.Data) })
}

// Last returns the sequence of the newest entry that was ever appended.
func (t *Trail) Last(ctx context.Context) (uint64, error) {
	state, err := t.queue.Streams.State(ctx, queue.Audit)
	return state.Last, err
}
