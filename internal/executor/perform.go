package executor

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
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
	reference string // of the request, as [events.Reference] makes it
	delivery  *events.Delivery
	began     time.Time
	connector *connectors.Connector
	action    *connectors.Action
	conn      *connection.Connection // nil when the default config is used
	witness   *witness
	claimed   bool
	made      int                   // attempts, once the outcome is stored
	leave     func(since time.Time) // gives the place at the gate back
	// announced are events on their way; the delivery is acknowledged only when
	// the stream has them.
	announced []*events.Pending
}

// perform takes one delivery from parsing to ack; what it says of the end is
// stored within last. It returns nil when the request has its result, or lies
// parked until its time, or is at work here already; any other answer has it
// delivered again.
func (x *Executor) perform(ctx, last context.Context, d *events.Delivery, admit admission) error {
	request, malformed := x.Bus.ReadAction(d)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		return x.setAside(ctx, d, malformed)
	}
	if d.Subject != x.Bus.Due(request.ActionRef) || request.Attempt < 0 {
		request.Attempt = 0 // what a client says of attempts is no matter of ours
	}
	ctx = events.EnsureTrace(events.WithTrace(ctx, d.Header))
	last = events.SameTrace(last, ctx)
	j := x.job(request, d)
	if d.Attempt > 1 {
		x.metrics.redeliveries.Inc()
	}
	return x.flights.do(j.reference, j.Attempt, func() (int, error) {
		err := j.run(ctx, last, malformed, admit)
		return j.made, err
	})
}

func (x *Executor) job(request events.Action, d *events.Delivery) *job {
	return &job{
		Executor: x, Action: request, reference: events.Reference(request.ActionRef, request.ID),
		delivery: d, began: time.Now(), witness: newWitness(x.HTTP.Transport),
	}
}

// line begins the log line that tells of an attempt's end.
func (j *job) line(ctx context.Context, level zerolog.Level) *zerolog.Event {
	return j.log.WithLevel(level).Str("request_id", j.ID).Str("trace_id", events.TraceID(ctx)).Str("connector", j.Connector).
		Str("action", j.ActionRef.Action).Str("scope", j.Scope)
}

// place names the message, and with it one delivery of the request among several
// that its sender may have published.
func (j *job) place() string {
	return j.delivery.Subject + "/" + strconv.FormatUint(j.delivery.Sequence, 10)
}

// run goes through the stations of a request. What costs nobody a handler's
// place is decided before it asks for one.
func (j *job) run(ctx, last context.Context, malformed error, admit admission) error {
	done, err := j.answered(ctx)
	switch {
	case err != nil:
		return j.postpone(last, time.Now().Add(ownTrouble), err)
	case done:
		j.made = final
		return j.awaitEvents(last)
	case malformed != nil:
		return j.conclude(last, nil, inputInvalid(malformed))
	}
	input, err := j.check(ctx)
	if err != nil {
		return j.conclude(last, nil, err)
	}
	next, admitted := admit(ctx, j)
	if !admitted {
		if j.expired() {
			return j.conclude(last, nil, deadlinePassed())
		}
		return j.postpone(last, next, nil)
	}
	output, failure := j.attempt(ctx, input)
	return j.conclude(last, output, failure)
}

// answered reports whether the request has its result already: it was repeated
// by its sender, or let pass in line, or an executor died between result and ack.
func (j *job) answered(ctx context.Context) (bool, error) {
	if j.MadeUp && j.delivery.Attempt == 1 && time.Since(j.delivery.Stored) < overtakeEvery {
		return false, nil // nobody can have answered what nobody has seen
	}
	result, err := j.Bus.ResultOf(ctx, j.ActionRef, j.ID)
	switch {
	case errors.Is(err, events.ErrNotFound):
		return false, nil
	case errors.Is(err, events.ErrUnavailable):
		return false, err
	case err == nil && j.delivery.Attempt > 1:
		j.announceAgain(ctx, result)
	}
	return true, nil // where something stands that is no result, none can be put
}

// number is the attempt that this is, from 1. A delivery that an executor died
// over counts.
func (j *job) number() int { return j.Attempt + j.delivery.Attempt }

func (j *job) expired() bool { return !j.Deadline.IsZero() && !time.Now().Before(j.Deadline) }

// check finds out what is to be done, and whether it can be done at all.
func (j *job) check(ctx context.Context) (json.RawMessage, error) {
	if err := j.find(ctx); err != nil {
		return nil, notYet(err)
	}
	if j.expired() {
		return nil, deadlinePassed()
	}
	return j.action.CheckInput(j.Input)
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
	if j.Tenant == connection.DefaultConfigTenant {
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

func deadlinePassed() error {
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionTimeout, "the request's deadline passed before it ran"))
}

// setAside lets a message go whose subject says neither who asks nor for what,
// so that there is nobody to answer to.
func (x *Executor) setAside(ctx context.Context, d *events.Delivery, malformed error) error {
	if err := x.keepEvidence(ctx, d, malformed); err != nil {
		return err
	}
	return events.Discard(malformed)
}

// keepEvidence stores a message that nobody can be answered about where
// operators look for such.
func (x *Executor) keepEvidence(ctx context.Context, d *events.Delivery, malformed error) error {
	h := events.Header{events.HeaderSubject: {d.Subject}, events.HeaderReason: {unroutable}}
	opts := &events.PublishOptions{MsgID: unroutable + "/" + d.Subject + "/" + strconv.FormatUint(d.Sequence, 10)}
	p, err := x.Bus.PublishRaw(x.Bus.Quarantine(connectorOf(d.Subject), unroutable), h, d.Data, opts)
	if err == nil {
		_, err = p.Wait(ctx)
	}
	if err != nil && !errors.Is(err, events.ErrTooLarge) {
		return err
	}
	x.problem(malformed)
	return nil
}

const unroutable = "unroutable"

// connectorOf is the connector of a subject of which not everything can be read.
func connectorOf(subject string) string {
	if tokens := strings.Split(subject, "."); len(tokens) > 4 {
		if connector, err := events.ParseToken(tokens[4]); err == nil {
			return connector
		}
	}
	return "unknown"
}
