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

// job is one delivery of one request.
type job struct {
	*Executor
	events.Action
	delivery  *events.Delivery
	began     time.Time
	connector *connectors.Connector
	action    *connectors.Action
	conn      *connection.Connection // nil when the default config is used
	claimed   bool
	// announced are events on their way; the delivery is acknowledged only when
	// the stream has them.
	announced []*events.Pending
	log       zerolog.Logger
}

// perform takes one delivery from parsing to ack. It returns nil when the
// request has its result, or lies parked until its next attempt; any other
// answer has it delivered again.
func (x *Executor) perform(ctx context.Context, d *events.Delivery) error {
	request, malformed := x.Bus.ReadAction(d)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		// There is nobody to answer to: the subject says neither who nor what.
		return events.Discard(malformed)
	}
	ctx = events.EnsureTrace(events.WithTrace(ctx, d.Header))
	j := &job{Executor: x, Action: request, delivery: d, began: time.Now()}
	j.log = x.log.With().Str("request_id", request.ID).Str("trace_id", events.TraceID(ctx)).
		Str("connector", request.Connector).Str("action", request.Action).Str("scope", request.Scope).Logger()
	if d.Attempt > 1 {
		x.metrics.redeliveries.Inc()
	}
	done, err := j.answered(ctx)
	if done || err != nil {
		return err
	}
	var output json.RawMessage
	failure := malformed
	if malformed != nil {
		failure = inputInvalid(malformed)
	} else if output, failure = j.attempt(ctx); errors.Is(failure, errDuplicate) {
		return nil
	}
	return j.conclude(ctx, output, failure)
}

// answered reports whether the request has its result already: it was repeated
// by its sender, or an executor died between the result and the ack.
func (j *job) answered(ctx context.Context) (bool, error) {
	if j.MadeUp && j.delivery.Attempt == 1 && j.Attempt == 0 {
		return false, nil // nobody can have answered what nobody has seen
	}
	return j.Bus.HasResult(ctx, j.ActionRef, j.ID)
}

// number is the attempt that this is, from 1. A delivery that an executor died
// over counts.
func (j *job) number() int { return j.Attempt + j.delivery.Attempt }

// attempt finds out what is to be done and does it. Every error has a code.
func (j *job) attempt(ctx context.Context) (json.RawMessage, error) {
	if err := j.find(ctx); err != nil {
		return nil, err
	}
	if !j.Deadline.IsZero() && !time.Now().Before(j.Deadline) {
		return nil, connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionTimeout, "the request's deadline passed before it ran"))
	}
	input, err := j.action.CheckInput(j.Input)
	if err != nil {
		return nil, err
	}
	call, err := j.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.claim(ctx); err != nil {
		return nil, err
	}
	j.announce(ctx, events.ActionStarted, events.Data{Action: j.action.Key, Attempt: j.number()})
	return j.handle(ctx, call, input)
}

// find looks up connector, action and connection.
func (j *job) find(ctx context.Context) error {
	var ok bool
	if j.connector, ok = j.Registry.Get(j.Connector); !ok {
		return connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", j.Connector)
	}
	if j.action, ok = j.connector.Action(j.ActionRef.Action); !ok {
		return connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", j.Connector, j.ActionRef.Action)
	}
	if j.Tenant == connection.Nobody {
		if j.connector.DefaultConfig == nil {
			return connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", j.Connector)
		}
		return nil
	}
	if err := j.Scopes.Check(j.Tenant); err != nil {
		return err
	}
	conn, err := j.Store.Get(ctx, connection.NewRef(j.Tenant, j.Connector, j.Account))
	if err != nil {
		return err
	}
	j.conn = conn
	return conn.Usable()
}

func inputInvalid(err error) error {
	return &connectors.Error{Code: connectors.CodeConnectorActionInputInvalid, Message: err.Error(), Cause: err}
}

// announce sends a lifecycle event; conclude waits for the stream to have it.
func (j *job) announce(ctx context.Context, kind events.Kind, data events.Data) {
	about := j.Action.About()
	if j.conn != nil {
		about.ConnectionID = j.conn.ID
	}
	e := events.NewLifecycle(j.opts.Role, kind, about, data)
	p, err := j.Bus.PublishAsync(ctx, j.Bus.Event(j.Tenant, j.Connector, kind), e, nil)
	if err != nil {
		j.problem(err)
		return
	}
	j.announced = append(j.announced, p)
}
