package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// outcome is the data of a result.
type outcome struct {
	Data  json.RawMessage   `json:"data,omitempty"`
	Error *connectors.Error `json:"error,omitempty"`
}

// answer publishes the result on its own subject, expecting that the subject is
// empty: whoever comes second has no result to give, and says nothing more.
func (j *job) answer(ctx context.Context, output json.RawMessage, e *connectors.Error) error {
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
	result := events.New(j.opts.Role, kind.Type(), j.about(), data)
	published, err := j.publishResult(ctx, result)
	if errors.Is(err, events.ErrTooLarge) {
		return j.answerLess(ctx, e)
	}
	if err != nil {
		return err
	}
	j.made = final
	if published {
		j.report(ctx, kind, e, result.ID())
	}
	return j.awaitEvents(ctx)
}

// answerLess answers where the whole answer is larger than a message can be.
func (j *job) answerLess(ctx context.Context, e *connectors.Error) error {
	if e == nil {
		return j.answer(ctx, nil, connectors.Errorf(connectors.CodeConnectorActionOutputInvalid, "the output is larger than a message can be"))
	}
	if e.Errors == nil {
		return events.ErrTooLarge
	}
	short := *e
	short.Errors = nil
	return j.answer(ctx, nil, &short)
}

func (j *job) about() events.About {
	about := j.Action.About()
	if j.conn != nil {
		about.ConnectionID = j.conn.ID
	}
	return about
}

// publishResult reports whether this result is the one. A publish whose ack was
// lost may be stored, so before it is repeated, and by whom may have slept, the
// subject is looked at: subscribers that hear what is published, whether or not
// the stream takes it, shall not hear two.
func (j *job) publishResult(ctx context.Context, result *events.Message) (published bool, err error) {
	look := j.delivery.Attempt > 1 || time.Since(j.began) > j.opts.AckWait/3
	err = patiently(ctx, func() error {
		if look {
			stored, err := j.Bus.ResultOf(ctx, j.ActionRef, j.ID)
			if err == nil {
				published = stored.ID() == result.ID()
				return nil
			}
			if errors.Is(err, events.ErrUnavailable) {
				return err
			}
		}
		look = true
		err := j.Bus.PublishResult(ctx, j.Action, result)
		published = err == nil
		if errors.Is(err, events.ErrExists) {
			return nil
		}
		return err
	})
	return published, err
}

// report tells the world of the result: event, health, metric, log.
func (j *job) report(ctx context.Context, kind events.Kind, e *connectors.Error, resultID string) {
	took := time.Since(j.began)
	data := events.Data{Action: j.ActionRef.Action, Attempt: j.number(), DurationMs: events.Milliseconds(took)}
	outcome, code, level := "completed", "", zerolog.InfoLevel
	if e != nil {
		outcome, code, level = "failed", string(e.Code), zerolog.WarnLevel
		data.ErrorCode, data.ErrorMessage = code, e.Message
	}
	j.announce(ctx, kind, data, events.DerivedID(resultID, "announced"))
	if j.conn != nil {
		j.Status.Action(connection.NewRef(j.Tenant, j.Connector, j.Account), code)
	}
	j.metrics.observe(j, outcome)
	j.line(ctx, level).Str("outcome", outcome).Str("code", code).Int("attempt", j.number()).Dur("ms", took).Msg("action")
}

// announceAgain makes up for an executor that died between a result and its
// event. The id is that of the first announcement: if there was one, the stream
// drops this, and beyond the stream's window readers can.
func (j *job) announceAgain(ctx context.Context, result events.Event) {
	var body outcome
	if json.Unmarshal(result.Data(), &body) != nil {
		return
	}
	data := events.Data{Action: j.ActionRef.Action}
	if body.Error != nil {
		data.ErrorCode, data.ErrorMessage = string(body.Error.Code), body.Error.Message
	}
	j.announce(ctx, events.KindOf(result.Type()), data, events.DerivedID(result.ID(), "announced"))
}

// announce sends a lifecycle event; awaitEvents waits for the stream to have it.
// An event with an id is announced once, whoever says it how often.
func (j *job) announce(ctx context.Context, kind events.Kind, data events.Data, id string) {
	e := events.NewLifecycle(j.opts.Role, kind, j.about(), data)
	opts := &events.PublishOptions{}
	if id != "" {
		e.SetID(id)
		opts.MsgID = j.Tenant.Tokens() + "." + events.Token(j.Connector) + "/" + id
	}
	p, err := j.Bus.PublishAsync(ctx, j.Bus.Event(j.Tenant, j.Connector, kind), e, opts)
	if err != nil {
		j.problem(err)
		return
	}
	j.announced = append(j.announced, p)
}

// announceStart does not wait for the stream: the event of the outcome follows on
// the same connection, and that one is waited for.
func (j *job) announceStart(ctx context.Context) {
	data := events.Data{Action: j.action.Key, Attempt: j.number()}
	e := events.NewLifecycle(j.opts.Role, events.ActionStarted, j.about(), data)
	if err := j.Bus.Send(ctx, j.Bus.Event(j.Tenant, j.Connector, events.ActionStarted), e); err != nil {
		j.problem(err)
	}
}

// awaitEvents waits until the stream has what was announced.
func (j *job) awaitEvents(ctx context.Context) error {
	for _, p := range j.announced {
		if _, err := p.Wait(ctx); err != nil {
			// The result stands, and the provider is not called again for an event.
			j.problem(err)
		}
	}
	j.announced = nil
	return nil
}
