package executor

import (
	"errors"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// task is the work on one message of an action request.
type task struct {
	request     events.Action
	malformed   error  // why the message is no request, nil if it is one
	reference   string // of the request, see [events.Action.Reference]
	message     *events.StoredMessage
	redelivered bool // work on the message may have ended between a result and its event
	began       time.Time

	connector  *connectors.Connector // nil until it is resolved, like the next two
	action     *connectors.Action
	connection *records.Connection // stays nil where the connector's default config is used

	effects *sideEffects // of the attempt, nil before it begins
	claimed bool
}

// readTask reads the message of a request. The error says that its subject names neither
// a tenant nor an action, so that there is nobody to answer.
func readTask(subjects queue.Subjects, message *events.StoredMessage) (*task, error) {
	request, malformed := subjects.ReadAction(message)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		return nil, malformed
	}
	return &task{
		request: request, malformed: malformed, reference: request.Reference(),
		message: message, redelivered: message.NumDelivered > 1, began: time.Now(),
	}, nil
}

// messageKey names the message among others that the sender may have published with the
// same request.
func (t *task) messageKey() string {
	return t.message.Subject + "/" + strconv.FormatUint(t.message.Sequence, 10)
}

// setConflict makes the task one of a request whose id another request with other input has.
// Its result is CONNECTOR_IDEMPOTENCY_CONFLICT, on a subject of its own.
func (t *task) setConflict() {
	t.request.Conflict = true
	t.reference = t.request.Reference()
}

// attempt is the number of this attempt, from 1. Deliveries that were not acknowledged
// count.
func (t *task) attempt() int { return t.request.Attempt + t.message.NumDelivered }

func (t *task) maxAttempts() int {
	if t.action == nil {
		return 1
	}
	return t.action.AttemptLimit()
}

// expired reports whether the deadline of the request has passed.
func (t *task) expired() bool {
	return !t.request.Deadline.IsZero() && !time.Now().Before(t.request.Deadline)
}

// deadline is when an attempt that begins now ends at the latest.
func (t *task) deadline() time.Time {
	limit := time.Now().Add(t.action.TimeLimit())
	if d := t.request.Deadline; !d.IsZero() && d.Before(limit) {
		return d
	}
	return limit
}

func (t *task) ref() records.Ref {
	return records.NewRef(t.request.Tenant, t.request.Connector, t.request.Account)
}

// about is what the events of the request are about.
func (t *task) about() events.EventContext {
	about := t.request.Context()
	if t.connection != nil {
		about.ConnectionID = t.connection.ID
	}
	return about
}

// connectorLabel is the connector for metrics. A name that is not registered, which
// anybody can invent, is "unknown".
func (t *task) connectorLabel() string {
	if t.connector == nil {
		return "unknown"
	}
	return t.connector.Key
}
