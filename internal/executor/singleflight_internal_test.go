package executor

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hawser-io/hawser/pkg/events"
)

// What a message may take from the work on another message of its request.
func TestAMessageIsDecidedOnlyByAnOutcomeOfItsOwnAttemptOrALaterOne(t *testing.T) {
	t.Parallel()
	failed := errors.New("not stored")
	for name, c := range map[string]struct {
		made     int // by the work that goes on
		err      error
		attempts int // made before the message that comes meanwhile
		own      bool
		input    string // of that message
	}{
		"a repetition, and the result is stored":       {final, nil, 0, false, ""},
		"a retry, and the result is stored":            {final, nil, 3, false, ""},
		"a repetition, and the first attempt failed":   {1, nil, 0, false, ""},
		"the retry that the first attempt stored":      {1, nil, 1, true, ""},
		"the request again, stored without an attempt": {0, nil, 0, true, ""},
		"a retry of a later attempt":                   {1, nil, 2, true, ""},
		"a repetition, and nothing was stored":         {0, failed, 0, false, ""},
		"the same id with other input":                 {final, nil, 0, true, `{"other":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var f singleFlight
				release := make(chan struct{})
				go func() { _ = f.do(request(0, ""), func() (int, error) { <-release; return c.made, c.err }) }()
				synctest.Wait()
				own, done := false, make(chan error)
				go func() {
					done <- f.do(request(c.attempts, c.input), func() (int, error) { own = true; return final, nil })
				}()
				synctest.Wait()
				close(release)
				if err := <-done; err != c.err || own != c.own {
					t.Errorf("worked on by itself: %t, error %v, want %t and %v", own, err, c.own, c.err)
				}
			})
		})
	}
}

func request(attempts int, input string) *task {
	return &task{reference: "r", request: events.Action{Attempt: attempts, Input: []byte(input)}}
}
