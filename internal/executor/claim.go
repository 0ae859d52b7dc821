package executor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// keySpace makes the idempotency keys that providers get. They must be the same
// at every attempt, and differ between tenants who use the same request id.
var keySpace = uuid.MustParse("6f1d7a0e-2f5c-5a86-9d0c-5b6d3f6f2b11")

func idempotencyKey(reference string) string {
	return uuid.NewSHA1(keySpace, []byte(reference)).String()
}

// claimSlack is added to an action's time limit before a claim without a result
// counts as that of a call whose outcome nobody will tell.
const claimSlack = time.Minute

// claim stands between a call that may not be repeated and its repetition. It is
// taken before the call and names the message that led to it. Whoever finds a
// claim of the same message knows that an executor died, or sleeps, in the
// middle of the call: its outcome is unknown. A claim of another message means
// that the sender repeated the request: that other message decides it, and this
// one waits until it must have.
func (j *job) claim(ctx context.Context) error {
	if j.action.Idempotent {
		return nil
	}
	mine := j.place() + "/" + events.NewID()
	holder, err := j.takeClaim(ctx, mine)
	switch {
	case err != nil:
		return notYet(err)
	case holder == mine:
		j.claimed = true
		return nil
	case strings.HasPrefix(holder, j.place()+"/"):
		return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionUncertain,
			"an executor ended in the middle of this call, which may not be repeated: look at the provider whether it took place"))
	}
	if decided := claimedAt(holder).Add(j.action.TimeLimit() + claimSlack); time.Now().Before(decided) {
		return &notNow{until: decided}
	}
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionUncertain,
		"this request was called before, and its result is not known (any more): look at the provider whether it took place"))
}

// takeClaim asks again where the store gives no answer: whether the claim stands
// can be told, as long as the name that was given is known.
func (j *job) takeClaim(ctx context.Context, mine string) (holder string, err error) {
	for range 4 {
		if holder, err = j.Claims.Acquire(ctx, j.Action, mine); err == nil || ctx.Err() != nil {
			break
		}
	}
	return holder, err
}

// claimedAt is when a claim was made: its name ends in a UUIDv7.
func claimedAt(holder string) time.Time {
	id, err := uuid.Parse(holder[strings.LastIndexByte(holder, '/')+1:])
	if err != nil {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime())
}

// settle decides what a failed call under a claim means. If the provider
// certainly did nothing, the claim is given back and the failure stands; else
// nobody knows, and the call is not repeated.
func (j *job) settle(ctx context.Context, failure error) error {
	if !j.claimed {
		return failure
	}
	if j.harmless(failure) {
		err := errors.New("not tried")
		for tries := 0; err != nil && tries < 3; tries++ {
			err = j.Claims.Release(ctx, j.Action)
		}
		if err != nil {
			return uncertain(failure)
		}
		return failure
	}
	if !connectors.IsRetryable(failure) {
		return failure
	}
	return uncertain(failure)
}

func uncertain(cause error) error {
	e := connectors.Errorf(connectors.CodeConnectorActionUncertain,
		"the call may or may not have taken place and is not repeated: look at the provider (%s)", connectors.AsError(cause).Message)
	e.ProviderStatus, e.Cause = connectors.AsError(cause).ProviderStatus, cause
	return connectors.Permanent(e)
}
