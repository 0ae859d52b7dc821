package events

import "context"

// Slots is a bound on work that runs at once. Make it with [NewSlots]. Safe for
// concurrent use.
type Slots struct{ free chan struct{} }

// NewSlots returns n slots, at least one.
func NewSlots(n int) *Slots {
	n = max(n, 1)
	s := &Slots{make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// acquire waits for one slot. It is false if ctx ended first; a slot that is free
// is given even then.
func (s *Slots) acquire(ctx context.Context) bool {
	if s.take(1) == 1 {
		return true
	}
	select {
	case <-s.free:
		return true
	case <-ctx.Done():
		return false
	}
}

// take takes up to most slots that are free now.
func (s *Slots) take(most int) int {
	for n := range most {
		select {
		case <-s.free:
		default:
			return n
		}
	}
	return most
}

func (s *Slots) release(n int) {
	for range n {
		s.free <- struct{}{}
	}
}
