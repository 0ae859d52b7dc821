package events

import "context"

// slots is a bound on work that runs at once. Safe for concurrent use.
type slots struct{ free chan struct{} }

// newSlots returns n slots, at least one.
func newSlots(n int) *slots {
	n = max(n, 1)
	s := &slots{make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// acquire waits for one slot. It is false if ctx ended first; a slot that is free
// is given even then.
func (s *slots) acquire(ctx context.Context) bool {
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
func (s *slots) take(most int) int {
	for n := range most {
		select {
		case <-s.free:
		default:
			return n
		}
	}
	return most
}

func (s *slots) release(n int) {
	for range n {
		s.free <- struct{}{}
	}
}
