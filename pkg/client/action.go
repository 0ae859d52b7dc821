package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Action is an action of a connector for a tenant. Safe for concurrent use.
type Action struct {
	client *Client
	ref    events.ActionRef
	opts   PublishOptions
}

// Priority orders the requests that wait.
type Priority string

// The priorities.
const (
	Normal Priority = "normal"
	High   Priority = "high"
)

// PublishOptions of a request. Zero fields mean the default.
type PublishOptions struct {
	// ID identifies the request, at most 128 bytes; default a new one. Repeating a
	// request with its ID is safe: as long as its result is stored (24 h by default),
	// repetitions do not run and get that result.
	ID string
	// Deadline is when a request that has not run yet fails with
	// CONNECTOR_ACTION_TIMEOUT. Default: none.
	Deadline time.Time
	Account  string   // default: the scope's
	Priority Priority // default [Normal]
}

// With returns the action with options for all its requests.
func (a *Action) With(opts PublishOptions) *Action {
	other := *a
	other.opts = a.opts.with(&opts)
	return &other
}

func (o PublishOptions) with(over *PublishOptions) PublishOptions {
	if over == nil {
		return o
	}
	if over.ID != "" {
		o.ID = over.ID
	}
	if !over.Deadline.IsZero() {
		o.Deadline = over.Deadline
	}
	if over.Account != "" {
		o.Account = over.Account
	}
	if over.Priority != "" {
		o.Priority = over.Priority
	}
	return o
}

// Call runs the action with in, which encoding/json encodes (nil is {}), and returns its
// output. The request is stored before it runs, so it survives a crash of any program.
// Call waits for its result until ctx ends.
//
// A failed action is a *[connectors.Error]. The end of ctx, or a lost ack, is a
// *[PendingError]: the request may go on, and [Action.Result] finds its result later.
func (a *Action) Call(ctx context.Context, in any) (json.RawMessage, error) {
	r, err := a.request(in, nil)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("call %s.%s: %w", a.ref.Connector, a.ref.Action, err)
	}
	result, err := a.client.await(ctx, r)
	if errors.Is(err, events.ErrPending) {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &PendingError{ID: r.ID, Stored: true, Err: err}
	}
	if e := publishError(err); e != nil {
		if errors.Is(err, events.ErrUnavailable) {
			return nil, &PendingError{ID: r.ID, Err: e}
		}
		return nil, e
	}
	return outcome(result)
}

// Call is [Action.Call] with the output decoded. Output that does not fit Out is
// CONNECTOR_ACTION_OUTPUT_INVALID.
func Call[Out any](ctx context.Context, a *Action, in any) (Out, error) {
	var out Out
	data, err := a.Call(ctx, in)
	if err != nil {
		return out, err
	}
	return decodeOutput[Out](data, a.ref)
}

// Publish stores a request and returns its id after the stream has acknowledged it. The
// result is for [Scope.On] and [Action.Result]. Publish returns the id also with
// CONNECTOR_DATABASE_FAILED: the request may be stored, and can be repeated with it.
func (a *Action) Publish(ctx context.Context, in any, opts *PublishOptions) (id string, err error) {
	r, err := a.request(in, opts)
	if err != nil {
		return "", err
	}
	if err := publishError(a.client.bus.PublishAction(ctx, r)); err != nil {
		return r.ID, err
	}
	return r.ID, nil
}

// Result returns the output, or the error, of an earlier request, as Call does. It does
// not wait: without a result it returns [ErrNoResult].
func (a *Action) Result(ctx context.Context, id string) (json.RawMessage, error) {
	if a.client.tenant {
		return nil, forbidden("an earlier result")
	}
	result, err := a.client.bus.StoredResult(ctx, events.Action{ActionRef: a.ref, Account: a.opts.Account, ID: id}.Reference(), "")
	if errors.Is(err, events.ErrNotFound) {
		return nil, fmt.Errorf("request %.64q: %w", id, ErrNoResult)
	}
	if e := publishError(err); e != nil {
		return nil, e
	}
	return outcome(result)
}

// request returns the request to publish.
func (a *Action) request(in any, opts *PublishOptions) (events.Action, error) {
	o := a.opts.with(opts)
	r := events.Action{ActionRef: a.ref, ID: o.ID, Account: o.Account, Deadline: o.Deadline, High: o.Priority == High}
	if err := checkNames(a.ref.Tenant, a.ref.Connector); err != nil {
		return r, err
	}
	switch {
	case len(a.ref.Action) > maxName:
		return r, connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", a.ref.Connector, a.ref.Action)
	case len(o.ID) > maxName || len(o.Account) > maxName:
		return r, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "a request's ID and account have at most %d bytes", maxName)
	case o.Priority != "" && o.Priority != High && o.Priority != Normal:
		return r, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "a request's priority is %s or %s", High, Normal)
	}
	if r.ID == "" {
		r.ID, r.GeneratedID = events.NewID(), true
	}
	if raw, ok := in.(json.RawMessage); in == nil || ok && len(raw) == 0 {
		in = struct{}{}
	}
	var err error
	if r.Input, err = encode(in); err != nil {
		// The encoder's error may quote a value.
		return r, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "the input (%T) cannot be encoded as JSON", in)
	}
	return r, nil
}

// await publishes the request and waits for its result.
func (c *Client) await(ctx context.Context, r events.Action) (events.Event, error) {
	if c.tenant {
		return c.awaitLive(ctx, r)
	}
	return c.bus.RequestAction(ctx, r)
}

// awaitLive is [events.Bus.RequestAction] with a tenant's credentials, which cannot read
// streams: it gets the result only if it is connected when the result is published. The
// result of a request whose id was used with another input is on a subject of its own.
func (c *Client) awaitLive(ctx context.Context, r events.Action) (events.Event, error) {
	conflict := r
	conflict.Conflict = true
	results := make(chan *nats.Msg, 4)
	for _, reference := range []string{r.Reference(), conflict.Reference()} {
		sub, err := c.nc.ChanSubscribe(c.bus.Subjects.ResultOf(reference), results)
		if err != nil {
			return events.Event{}, fmt.Errorf("%w: %w", events.ErrUnavailable, err)
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	if err := c.bus.PublishAction(ctx, r); err != nil {
		return events.Event{}, err
	}
	closed := c.nc.StatusChanged(nats.CLOSED)
	defer c.nc.RemoveStatusListener(closed)
	for {
		var msg *nats.Msg
		select {
		case msg = <-results:
		case <-closed:
			return events.Event{}, fmt.Errorf("%w: %w", events.ErrPending, nats.ErrConnectionClosed)
		case <-ctx.Done():
			return events.Event{}, events.ErrPending
		}
		if e, err := readEvent(msg.Subject, msg.Header, msg.Data); err == nil {
			return e.Event, nil
		}
	}
}
