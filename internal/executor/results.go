package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/executor/fairness"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

var (
	// errOtherResult says that the subject of the result holds another one. Its event may
	// be missing, so the message is not acknowledged but delivered again.
	errOtherResult = errors.New("the request has a result of another executor")
	// errEventPending says that the result is stored and its event is not.
	errEventPending = errors.New("the result is stored, its event is not")
)

// outcome is the data of a result.
type outcome struct {
	Data  json.RawMessage   `json:"data,omitempty"`
	Error *connectors.Error `json:"error,omitempty"`
}

// results stores the one result of a request and the event about it:
//
//	result → event → ack of the request
//
// The event's id is derived from the result's. A message that is delivered again although
// its request has a result may lack the event: it is published again under the same id,
// and the stream drops the repetition.
type results struct {
	bus       *events.Bus
	lifecycle *lifecycle
	status    *records.StatusWriter
	telemetry *telemetry
	// suspendedAfter is how long after the beginning of its work an executor may have been
	// suspended, and its message delivered to another one.
	suspendedAfter time.Duration
}

// exists reports whether the request has its result and the result its event. A request
// whose id has a result of other input is not answered by that: it gets a result of its own,
// see [task.setConflict]. The error is [events.ErrUnavailable] or [errEventPending].
func (s *results) exists(ctx context.Context, t *task) (bool, error) {
	exists, err := s.find(ctx, t)
	if errors.Is(err, events.ErrConflict) {
		t.setConflict()
		exists, err = s.find(ctx, t)
	}
	return exists, err
}

// find is exists for the result of the task's reference. The error may also be
// [events.ErrConflict].
func (s *results) find(ctx context.Context, t *task) (bool, error) {
	if t.request.GeneratedID && !t.redelivered && time.Since(t.message.Stored) < fairness.LookEvery {
		return false, nil // the id is new, and nobody else has seen the message
	}
	result, err := s.bus.ResultOf(ctx, t.request)
	switch {
	case errors.Is(err, events.ErrNotFound):
		return false, nil
	case errors.Is(err, events.ErrUnavailable), errors.Is(err, events.ErrConflict):
		return false, err
	case err != nil:
		return true, nil // the subject holds something that is no result, so none can be stored
	case !t.redelivered && !t.request.EventPending:
		return true, nil
	}
	data := events.Data{Action: t.request.Action}
	var body outcome
	if json.Unmarshal(result.Data(), &body) == nil && body.Error != nil {
		data.ErrorCode, data.ErrorMessage = string(body.Error.Code), body.Error.Message
	}
	if err := s.storeEvent(ctx, t, result.ID(), events.KindOf(result.Type()), data); err != nil {
		return false, err
	}
	return true, nil
}

// store stores the result of a request, a failure if e is not nil, and its event. Errors
// are [errOtherResult], [errEventPending], and those of [events.Bus.PublishResult].
func (s *results) store(ctx context.Context, t *task, output json.RawMessage, e *connectors.Error) error {
	kind, body := events.ActionCompleted, outcome{Data: output}
	if e != nil {
		kind, body = events.ActionFailed, outcome{Error: e}
	} else if output == nil {
		body.Data = json.RawMessage("null")
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	result := events.New(s.lifecycle.role, kind.Type(), t.about(), data)
	id := result.ID()
	err = s.storeResult(ctx, t, result)
	if errors.Is(err, events.ErrTooLarge) {
		return s.storeShorter(ctx, t, e)
	}
	if err != nil {
		return err
	}
	took := time.Since(t.began)
	s.record(ctx, t, e, took)
	event := events.Data{Action: t.request.Action, Attempt: t.attempt(), DurationMs: events.Milliseconds(took)}
	if e != nil {
		event.ErrorCode, event.ErrorMessage = string(e.Code), e.Message
	}
	return s.storeEvent(ctx, t, id, kind, event)
}

// storeShorter stores a result where the whole one is larger than a message can be.
func (s *results) storeShorter(ctx context.Context, t *task, e *connectors.Error) error {
	if e == nil {
		return s.store(ctx, t, nil, connectors.Errorf(connectors.CodeConnectorActionOutputInvalid, "the output is larger than a message can be"))
	}
	if e.Errors == nil {
		return events.ErrTooLarge
	}
	short := *e
	short.Errors = nil
	return s.store(ctx, t, nil, &short)
}

// storeResult publishes the result, expecting that its subject is empty. A publish whose
// ack was lost may be stored, and an executor that was suspended may find another's
// result: the subject is read before then, so that subscribers, who see every publish
// whether or not the stream takes it, do not see two.
func (s *results) storeResult(ctx context.Context, t *task, result *events.Message) error {
	read := t.redelivered || time.Since(t.began) > s.suspendedAfter
	return retryUnavailable(ctx, func() error {
		if read {
			stored, err := s.bus.ResultOf(ctx, t.request)
			switch {
			case err == nil && stored.ID() == result.ID():
				return nil
			case err == nil, errors.Is(err, events.ErrConflict):
				return errOtherResult
			case errors.Is(err, events.ErrUnavailable):
				return err
			}
		}
		read = true
		err := s.bus.PublishResult(ctx, t.request, result)
		if errors.Is(err, events.ErrExists) {
			return errOtherResult
		}
		return err
	})
}

func (s *results) storeEvent(ctx context.Context, t *task, resultID string, kind events.Kind, data events.Data) error {
	id := events.DerivedID(resultID, "announced")
	err := s.lifecycle.store(ctx, lifecycleEvent{kind: kind, about: t.about(), data: data, id: id})
	t.request.EventPending = err != nil
	if err != nil {
		return fmt.Errorf("%w: %w", errEventPending, err)
	}
	return nil
}

// record notes the result in the connection's status, the metrics and the log.
func (s *results) record(ctx context.Context, t *task, e *connectors.Error, took time.Duration) {
	outcome, code, message, level := "completed", "", "", zerolog.InfoLevel
	if e != nil {
		outcome, code, message, level = "failed", string(e.Code), e.Message, zerolog.WarnLevel
	}
	if t.connection != nil {
		s.status.Action(t.ref(), code)
	}
	s.telemetry.attempt(t, outcome)
	s.telemetry.line(ctx, level, t).Str("outcome", outcome).Str("code", code).Str("error", message).Int("attempt", t.attempt()).Dur("ms", took).Msg("action")
}
