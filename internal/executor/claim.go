package executor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// errDuplicate says that another message carries the same request and decides it.
var errDuplicate = errors.New("another message carries this request")

// keySpace makes the idempotency keys that providers get. They must be the same
// at every attempt, and differ between tenants who use the same request id.
var keySpace = uuid.MustParse("6f1d7a0e-2f5c-5a86-9d0c-5b6d3f6f2b11")

func idempotencyKey(a events.Action) string {
	return uuid.NewSHA1(keySpace, []byte(events.Reference(a.ActionRef, a.ID))).String()
}

// claim stands between a call that may not be repeated and its repetition. It is
// taken before the call and names the message that led to it. Whoever finds a
// claim of the same message knows that an executor died, or sleeps, in the
// middle of the call: its outcome is unknown. A claim of another message means
// that the sender repeated the request; that other message decides it.
func (j *job) claim(ctx context.Context) error {
	if j.action.Idempotent {
		return nil
	}
	place := j.delivery.Subject + "/" + strconv.FormatUint(j.delivery.Sequence, 10)
	mine := place + "/" + events.NewID()
	holder, err := j.Claims.Take(ctx, j.Action, mine)
	if err != nil {
		return err
	}
	switch {
	case holder == mine:
		j.claimed = true
		return nil
	case strings.HasPrefix(holder, place+"/"):
		return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionUncertain,
			"an executor ended in the middle of this call, which may not be repeated: look at the provider whether it took place"))
	}
	return errDuplicate
}

// settle decides what a failed call under a claim means. If the provider
// certainly did nothing, the claim is given back and the failure stands; else
// nobody knows, and the call is not repeated.
func (j *job) settle(ctx context.Context, failure error) error {
	if !j.claimed {
		return failure
	}
	if harmless(failure) {
		if err := j.Claims.Release(ctx, j.Action); err != nil {
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

// harmless reports that the provider certainly did nothing: it said so (429), it
// was never reached, or the handler itself asks for another attempt.
func harmless(err error) bool {
	var dial *net.OpError
	_, asks := connectors.RetryDelay(err)
	return connectors.AsError(err).ProviderStatus == http.StatusTooManyRequests ||
		errors.As(err, &dial) && dial.Op == "dial" || safehttp.Refused(err) ||
		asks && connectors.AsError(err).ProviderStatus == 0
}
