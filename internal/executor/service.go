package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// callPatience is how long hawser.call waits for a result.
const callPatience = 60 * time.Second

// serve answers hawser.call.> and, for each connector, hawser.validate.
func (x *Executor) serve(ctx, grace context.Context, serving func()) error {
	service := events.Service{
		Name: "hawser-executor", Version: "1.0.0", Description: "actions by request-reply", Most: 256,
		Endpoints: []events.Endpoint{{Name: "call", Subject: x.Bus.Calls(), Handle: x.answerCall}},
	}
	for _, c := range x.Registry.All() {
		service.Endpoints = append(service.Endpoints, events.Endpoint{
			Name: "validate-" + c.Key, Subject: x.Bus.Validate(c.Key),
			Handle: func(ctx context.Context, ask events.Ask) events.Reply { return x.answerValidate(ctx, c, ask) },
		})
	}
	return x.Bus.Serve(ctx, grace, service, serving)
}

// answerCall puts the request into the queue like any other and replies with its
// result: the same guarantees, whoever runs it.
func (x *Executor) answerCall(ctx context.Context, ask events.Ask) events.Reply {
	d := &events.Delivery{Subject: ask.Subject, Header: ask.Header, Data: ask.Data, Stored: time.Now()}
	request, err := x.Bus.ReadAction(d)
	if err != nil {
		return refusal(connectors.AsError(inputInvalid(err)))
	}
	if request.MadeUp {
		request.ID = events.NewID()
	}
	if _, err := x.Definitions.Get(request.Connector); err != nil {
		return refusal(connectors.AsError(err))
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	result, err := x.Bus.Request(ctx, request)
	if err != nil {
		return refusal(requestError(err))
	}
	reply := events.Reply{Data: result.Data()}
	if result.Type() == events.ActionFailed.Type() {
		var body struct{ Error connectors.Error }
		if json.Unmarshal(result.Data(), &body) == nil {
			reply.Code, reply.Text = string(body.Error.Code), body.Error.Message
		}
	}
	return reply
}

func requestError(err error) *connectors.Error {
	if errors.Is(err, events.ErrPending) {
		return connectors.Errorf(connectors.CodeConnectorActionTimeout, "the result is not there yet; the request goes on")
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the request could not be stored; try again")
	e.Cause = err
	return e
}

func refusal(e *connectors.Error) events.Reply {
	body, err := json.Marshal(struct {
		Error *connectors.Error `json:"error"`
	}{e})
	if err != nil {
		body = nil
	}
	return events.Reply{Data: body, Code: string(e.Code), Text: e.Message}
}

// answerValidate runs a connector's Validate on a record that is not stored yet.
func (x *Executor) answerValidate(ctx context.Context, c *connectors.Connector, ask events.Ask) events.Reply {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	if err := x.validate(ctx, c, ask.Data); err != nil {
		e := connectors.AsError(err)
		body, marshalErr := json.Marshal(e)
		if marshalErr != nil {
			body = nil
		}
		return events.Reply{Data: body, Code: string(e.Code), Text: e.Message}
	}
	return events.Reply{Data: []byte(`{}`)}
}

func (x *Executor) validate(ctx context.Context, c *connectors.Connector, sealed []byte) error {
	record, err := x.Store.ParseSealed(sealed)
	if err != nil {
		return err
	}
	config, err := x.Store.OpenConfig(record)
	if err != nil {
		return err
	}
	call := &connectors.Call{
		Scope: record.Scope, Identity: record.Identity, Connector: record.Connector,
		Account: record.Account, ConnectionID: record.ID, Attempt: 1,
	}
	if err := x.equip(ctx, c, call, config, record.Grant); err != nil {
		return err
	}
	err = c.RunValidate(ctx, call)
	if err != nil && connectors.AsError(err).Code == connectors.CodeInternal {
		x.log.Warn().Str("connector", c.Key).Str("connection_id", record.ID).Msg("validate failed")
	}
	return err
}
