package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// compactAbove is the journal size, in bytes, from which it is rewritten as
// the state it amounts to. A rewrite waits until the file has doubled since
// the last one, so that a large state is not written again and again.
const compactAbove = 4 << 20

var errClosed = errors.New("demo: the store is closed")

// store keeps the state in memory and every change of it in a journal. One
// goroutine writes the journal; changes that come while it waits for the disk
// share the next write. Safe for concurrent use.
type store struct {
	now func() time.Time

	mu     sync.Mutex // guards state, tail, closed
	state  *state
	tail   *batch // the batch that takes changes now
	closed bool

	wake chan struct{} // tail has work; closed by close
	done chan struct{} // the writer has ended

	// Of the writer alone.
	journal   *journal
	rewriteAt int64
	closeErr  error
}

// batch is a group of changes that reach the disk together.
type batch struct {
	lines []byte
	done  chan struct{} // closed when err is known
	err   error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// openStore reads the state in folder, which it creates (0700) if need be.
// One store per folder at a time.
func openStore(folder string, now func() time.Time) (*store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	st := newState()
	journal, err := openJournal(filepath.Join(folder, "journal.jsonl"), func(line []byte) error {
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		st.apply(c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	st.sweep(now())
	s := &store{
		now: now, state: st, tail: newBatch(), journal: journal,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := s.rewrite(st.changes()); err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), journal.close())
	}
	go s.write()
	return s, nil
}

// update calls fn with the state, applies the change that it returns and
// waits until that, and everything fn can have seen, is on disk. fn must not
// change the state itself. The zero change only waits.
func (s *store) update(fn func(*state) change) error {
	b, err := s.enqueue(fn)
	if err != nil {
		return err
	}
	<-b.done
	return b.err
}

func (s *store) enqueue(fn func(*state) change) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.state.sweepSometimes(s.now())
	if c := fn(s.state); c != (change{}) {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("demo: encode change: %w", err)
		}
		s.state.apply(c)
		s.tail.lines = append(append(s.tail.lines, line...), '\n')
	}
	select {
	case s.wake <- struct{}{}:
	default: // the writer has not taken the last call yet: it will see this too
	}
	return s.tail, nil
}

// view calls fn with the state. What fn sees may not be on disk yet.
func (s *store) view(fn func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.state)
}

// close writes what is left and waits. Later updates fail. Call it once.
func (s *store) close() error {
	s.mu.Lock()
	s.closed = true
	close(s.wake)
	s.mu.Unlock()
	<-s.done
	return s.closeErr
}

// write is the writer: it lives until close.
func (s *store) write() {
	defer close(s.done)
	for range s.wake {
		s.flush()
	}
	s.flush()
	s.closeErr = s.journal.close()
}

func (s *store) flush() {
	s.mu.Lock()
	b := s.takeLocked()
	var whole []change
	if s.journal.size+int64(len(b.lines)) > s.rewriteAt {
		whole = s.state.changes()
	}
	s.mu.Unlock()
	if whole != nil {
		b.err = s.rewrite(whole) // it holds the changes of b already
	} else {
		b.err = s.journal.append(b.lines)
	}
	close(b.done)
}

func (s *store) takeLocked() *batch {
	b := s.tail
	s.tail = newBatch()
	return b
}

// rewrite replaces the journal by whole, the changes that make the state.
func (s *store) rewrite(whole []change) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, c := range whole {
		if err := enc.Encode(c); err != nil {
			return err
		}
	}
	s.rewriteAt = max(compactAbove, 2*int64(lines.Len()))
	return s.journal.replace(lines.Bytes())
}
