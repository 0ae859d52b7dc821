package executor

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// quarantine stores messages whose subject names neither a tenant nor an action, so that
// there is nobody to answer.
type quarantine struct {
	bus       *events.Bus
	telemetry *telemetry
}

const unroutable = "unroutable"

func (q *quarantine) store(ctx context.Context, message *events.StoredMessage, malformed error) error {
	evidence := &events.Message{Data: message.Data, Header: events.Header{queue.HeaderSubject: {message.Subject}, queue.HeaderReason: {unroutable}}}
	opts := &events.PublishOptions{MsgID: unroutable + "/" + message.Subject + "/" + strconv.FormatUint(message.Sequence, 10)}
	_, err := q.bus.Publish(ctx, q.bus.Subjects.Quarantine(connectorOf(message.Subject), unroutable), evidence, opts)
	// Without room for evidence the message ends all the same, or it would be delivered for ever.
	if err != nil && !errors.Is(err, events.ErrTooLarge) && !errors.Is(err, events.ErrFull) {
		return err
	}
	q.telemetry.problem(errors.Join(malformed, err))
	return nil
}

// connectorOf returns the connector of a subject that cannot be read as a whole, or
// "unknown".
func connectorOf(subject string) string {
	if tokens := strings.Split(subject, "."); len(tokens) > 4 {
		if connector, err := events.ParseToken(tokens[4]); err == nil {
			return connector
		}
	}
	return "unknown"
}
