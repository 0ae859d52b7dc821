package executor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// claims makes sure that an action which may not be repeated is called once.
//
// A claim stands between a call that may not be repeated and its repetition. It is
// acquired before the call, and its holder names the message that led to the call. A
// claim of the same message means that an executor ended, or was suspended, during the
// call: the outcome is unknown. A claim of another message means that the sender
// published the request twice: the other message decides it.
type claims struct{ records *records.Claims }

// claimMargin is added to the time limit of an action before a claim without a result
// counts as that of a call whose outcome will not be known.
const claimMargin = time.Minute

// acquire acquires the claim of a request, unless its action may be repeated.
func (c *claims) acquire(ctx context.Context, t *task) error {
	if t.action.Idempotent {
		return nil
	}
	own := t.messageKey() + "/" + events.NewID()
	holder, err := c.holder(ctx, t.request, own)
	switch {
	case err != nil:
		return postponeUnavailable(err)
	case holder == own:
		t.claimed = true
		return nil
	case strings.HasPrefix(holder, t.messageKey()+"/"):
		return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionUncertain,
			"an executor ended during this call, which may not be repeated: look at the provider whether it took place"))
	}
	if decided := claimTime(holder).Add(t.action.TimeLimit() + claimMargin); time.Now().Before(decided) {
		return &postponement{until: decided}
	}
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionUncertain,
		"this request was called before, and its result is not known (any more): look at the provider whether it took place"))
}

// holder acquires the claim as own, or returns who holds it. A write without an answer is
// repeated: own tells whether it was stored.
func (c *claims) holder(ctx context.Context, request events.Action, own string) (holder string, err error) {
	for range 4 {
		if holder, err = c.records.Acquire(ctx, request, own); err == nil || ctx.Err() != nil {
			break
		}
	}
	return holder, err
}

// claimTime is when a claim was acquired: its holder ends in a UUIDv7.
func claimTime(holder string) time.Time {
	id, err := uuid.Parse(holder[strings.LastIndexByte(holder, '/')+1:])
	if err != nil {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime())
}

// afterFailure returns what a failed call under a claim means. If the provider certainly
// changed nothing, the claim is released and the failure stands. If it may have, the
// outcome is uncertain, and the call is not repeated.
func (c *claims) afterFailure(ctx context.Context, t *task, failure error) error {
	if !t.claimed {
		return failure
	}
	if !t.effects.excludedBy(failure) {
		if connectors.IsRetryable(failure) {
			return uncertain(failure)
		}
		return failure
	}
	err := errors.New("not tried")
	for tries := 0; err != nil && tries < 3; tries++ {
		err = c.records.Release(ctx, t.request)
	}
	if err != nil {
		return uncertain(failure)
	}
	return failure
}

func uncertain(cause error) error {
	e := connectors.Errorf(connectors.CodeConnectorActionUncertain,
		"the call may or may not have taken place and is not repeated: look at the provider (%s)", connectors.AsError(cause).Message)
	e.ProviderStatus, e.Cause = connectors.AsError(cause).ProviderStatus, cause
	return connectors.Permanent(e)
}

// idempotencyNamespace is the UUID namespace of the idempotency keys for providers.
var idempotencyNamespace = uuid.MustParse("6f1d7a0e-2f5c-5a86-9d0c-5b6d3f6f2b11")

// idempotencyKey is the key that a provider gets for a request: the same at every
// attempt, and different for tenants that use the same request id.
func idempotencyKey(reference string) string {
	return uuid.NewSHA1(idempotencyNamespace, []byte(reference)).String()
}
