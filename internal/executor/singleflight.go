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

// flight is what ended one flight.
type flight struct {
	input    string // fingerprint, "" of a generated id
	attempts int    // made, once their outcome is stored
}

// do runs work, which returns how many attempts were made once its outcome is stored.
// While the same request is worked on already, do waits for that outcome. It decides
// this message too if it has the same input, and is of the message's attempt or a later
// one: the message says that attempts were made before it. Otherwise the message may be the
// retry that the outcome stored, or a conflict, and do runs its own work.
func (f *singleFlight) do(t *task, work func() (int, error)) error {
	input := ""
	if !t.request.GeneratedID {
		input = t.request.InputFingerprint()
	}
	reference := t.reference // work may change it
	for {
		own := false
		ended, err, _ := f.group.Do(reference, func() (any, error) {
			own = true
			attempts, err := work()
			return flight{input, attempts}, err
		})
		if own || err != nil {
			return err
		}
		if other := ended.(flight); other.attempts > t.request.Attempt && other.input == input {
			return nil
		}
	}
}
