package executor

import "time"

// crew is goroutines for foreign code. One that has nothing to do stays a moment
// for what comes next: its stack has grown to what handlers need, and to grow
// another costs as much as a small handler. One whose work never returns is lost
// to the crew, and the next gets another.
type crew struct{ idle chan func() }

const crewLingers = 100 * time.Millisecond

func newCrew() crew { return crew{make(chan func())} }

func (c crew) run(work func()) {
	select {
	case c.idle <- work:
	default:
		go func() {
			for work != nil {
				work()
				work = c.next()
			}
		}()
	}
}

// next is the next work, or nil if there is none for a while.
func (c crew) next() func() {
	select {
	case work := <-c.idle:
		return work
	case <-time.After(crewLingers):
		return nil
	}
}
