package executor

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// errAttemptsUsedUp is for a request or webhook whose every attempt ended with the end of
// the executor that made it.
var errAttemptsUsedUp = connectors.Permanent(&connectors.Error{
	Code:    connectors.CodeConnectorActionFailed,
	Message: "the executor stopped during every attempt; no further attempt is made",
})

func inputInvalid(err error) error {
	return &connectors.Error{Code: connectors.CodeConnectorActionInputInvalid, Message: err.Error(), Cause: err}
}

func idempotencyConflict() *connectors.Error {
	return connectors.Errorf(connectors.CodeConnectorIdempotencyConflict, "the request id was used with another input, and this request did not run: use a new id")
}

func deadlinePassed() error {
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionTimeout, "the request's deadline passed before it ran"))
}

func timedOut() error {
	return &connectors.Error{Code: connectors.CodeConnectorActionTimeout, Message: "the action did not finish in time", Cause: context.DeadlineExceeded}
}

// postponement is the error of an attempt that was not made, or that does not count, for a
// reason outside the request. The request is parked until then.
type postponement struct {
	until time.Time
	cause error // nil if nothing is wrong
}

func (p *postponement) Error() string { return "postponed" }
func (p *postponement) Unwrap() error { return p.cause }

// storeRetry is how long a request waits when a store of ours does not answer.
const storeRetry = 5 * time.Second

func postponed(cause error) *postponement {
	return &postponement{until: time.Now().Add(storeRetry), cause: cause}
}

// postponeUnavailable turns the error of a store of ours that a retry may help into a
// [postponement].
func postponeUnavailable(err error) error {
	if connectors.IsRetryable(err) {
		return postponed(err)
	}
	return err
}

// preparationError sorts the errors of a call that could not be prepared. An error of our
// own stores and the end of this process do not count as an attempt; a provider that
// gives no token now does.
func preparationError(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &postponement{until: time.Now()}
	}
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorDatabaseFailed}) {
		return postponeUnavailable(err)
	}
	return err
}

const (
	firstRetry   = 500 * time.Millisecond
	longestRetry = 5 * time.Minute
	// longestRetryAfter bounds what a provider can ask for.
	longestRetryAfter = 24 * time.Hour
)

// retryDelay is what the provider or the handler asked for, else half a second that
// doubles with every attempt up to five minutes, with jitter.
func retryDelay(failure error, attempt int) time.Duration {
	if d, ok := connectors.RetryDelay(failure); ok {
		return min(d, longestRetryAfter)
	}
	d := min(firstRetry<<min(max(attempt-1, 0), 12), longestRetry)
	return d/2 + rand.N(d/2+1)
}

// storeTimeout is how long the storing of an outcome that cost a provider's call is
// retried, before its message is delivered again.
const storeTimeout = 15 * time.Second

// retryUnavailable repeats store while the stream does not take the message.
func retryUnavailable(ctx context.Context, store func() error) error {
	for deadline := time.Now().Add(storeTimeout); ; {
		err := store()
		if !errors.Is(err, events.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
