package kvstore

import (
	"fmt"
	"sync"
)

// Watcher reports changes until it is stopped. See [Store].
type Watcher interface {
	// Events returns the channel of events, always the same one. It is closed
	// by Stop, and when the store is closed for good.
	Events() <-chan Event
	// Stop ends the watch and waits until nothing of it runs any more. It may
	// be called twice, and by any goroutine.
	Stop()
}

// Event is one thing that a [Watcher] saw. It never carries the value. Between
// two resets, the events of one key come in the order of their revisions.
type Event struct {
	Kind EventKind
	Key  string // empty for Reset
	// Revision is what the key is at now: of the value for Put, of the removal
	// for Deleted, 0 for Reset. It is for comparing with the revision of an
	// entry held in memory. A removal's revision is not for writing.
	Revision uint64
}

// EventKind says what happened.
type EventKind int

const (
	// Put: the key was created or updated.
	Put EventKind = iota + 1
	// Deleted: the key was deleted or expired.
	Deleted
	// Reset: events may be missing before this one, because the connection was
	// lost or the reader was slow. Drop what you hold; what you read from now
	// on is followed again.
	Reset
)

func (k EventKind) String() string {
	switch k {
	case Put:
		return "put"
	case Deleted:
		return "deleted"
	case Reset:
		return "reset"
	}
	return fmt.Sprintf("EventKind(%d)", int(k))
}

// Feed is the bounded queue between a driver and the reader of one [Watcher].
// When the reader is slow and the queue is full, everything queued collapses
// into one [Reset]: the driver never waits, and nothing is lost unsaid. It is
// for authors of drivers. Safe for concurrent use.
type Feed struct {
	mu     sync.Mutex // guards sends against close, and closed
	events chan Event
	closed bool
}

// NewFeed returns a feed that holds up to size events, at least one.
func NewFeed(size int) *Feed {
	return &Feed{events: make(chan Event, max(size, 1))}
}

// Events returns the channel to hand out by [Watcher].
func (f *Feed) Events() <-chan Event { return f.events }

// Send queues e and never blocks. After Close it does nothing.
func (f *Feed) Send(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	select {
	case f.events <- e:
		return
	default:
	}
	// Only Send puts events in, so once drained there is room for one.
	for drained := false; !drained; {
		select {
		case <-f.events:
		default:
			drained = true
		}
	}
	f.events <- Event{Kind: Reset}
}

// Close closes the channel; events still queued can be read. It may be called
// twice.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.events)
	}
}
