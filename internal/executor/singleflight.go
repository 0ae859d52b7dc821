package executor

import (
	"math"

	"golang.org/x/sync/singleflight"
)

// singleFlight runs the work of one request once at a time in this process: its sender
// may publish it twice, the server may deliver a message again whose executor it takes
// for dead, and a retry may come due while the attempt before it still waits for an ack.
type singleFlight struct{ group singleflight.Group }

// final is the number of attempts of a request that has its stored result.
const final = math.MaxInt

// do runs work, which returns how many attempts were made once its outcome is stored.
// While the same request is worked on already, do waits for that outcome. It decides
// this message too if it is of the message's attempt or a later one: the message says
// that attempts were made before it. Otherwise the message may be the retry that the
// outcome stored, and do runs its own work.
func (f *singleFlight) do(request string, attempts int, work func() (int, error)) error {
	for {
		own := false
		made, err, _ := f.group.Do(request, func() (any, error) {
			own = true
			return work()
		})
		if own || err != nil || made.(int) > attempts {
			return err
		}
	}
}
