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
		go c.member(work)
	}
}

// member does the work, and what comes next, until nothing does for a while.
func (c crew) member(work func()) {
	idle := time.NewTimer(crewLingers)
	defer idle.Stop()
	for {
		work()
		idle.Reset(crewLingers)
		select {
		case work = <-c.idle:
		case <-idle.C:
			return
		}
	}
}
