package executor

import (
	"errors"
	"sync"
)

// flights keeps a request from being worked on twice at once in this process:
// its sender may publish it twice, and the server may hand a message out again
// whose executor it takes for dead.
type flights struct {
	under sync.Map // reference of the request → *flight
}

type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

var errPanicked = errors.New("the work ended in a panic")

// alone does the work unless it is being done already: then it waits, and
// returns what the other returns. No message is let go before the outcome of its
// request is stored, whichever message led to it.
func (f *flights) alone(request string, work func() error) error {
	mine := &flight{done: make(chan struct{}), err: errPanicked}
	if found, taken := f.under.LoadOrStore(request, mine); taken {
		other := found.(*flight)
		<-other.done
		return other.err
	}
	defer func() {
		f.under.Delete(request)
		close(mine.done)
	}()
	mine.err = work()
	return mine.err
}
