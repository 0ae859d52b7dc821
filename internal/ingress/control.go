package ingress

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// controlTimeout bounds one control operation.
const controlTimeout = 30 * time.Second

// mostOperations bounds those that run at once in this process: connecting may
// wait for a provider, and others shall not wait behind it.
const mostOperations = 256

// control serves the operations on NATS, as a micro service.
func (i *Ingress) control(ctx, grace context.Context, serving func()) error {
	service := events.Service{Name: "hawser-api", Version: "1.0.0", Description: "Hawser's control operations", Most: mostOperations}
	for _, op := range operations() {
		service.Endpoints = append(service.Endpoints, events.Endpoint{
			Name: strings.ReplaceAll(op.name, ".", "-"), Subject: i.Bus.API(op.name),
			Handle: func(ctx context.Context, ask events.Ask) events.Reply { return i.overNATS(ctx, op, ask) },
		})
	}
	return i.Bus.Serve(ctx, grace, service, serving)
}

func (i *Ingress) overNATS(ctx context.Context, op operation, ask events.Ask) events.Reply {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	began := time.Now()
	data, err := i.operate(ctx, op, ask.Data)
	line := i.log.Info().Str("operation", op.name).Str("trace_id", events.TraceID(ctx)).Dur("ms", time.Since(began))
	if err == nil {
		line.Msg("nats")
		return events.Reply{Data: data}
	}
	e := connectors.AsError(err)
	line.Str("code", string(e.Code)).Msg("nats")
	if data, err = json.Marshal(problemOf(e)); err != nil {
		data = nil
	}
	return events.Reply{Data: data, Code: string(e.Code), Text: e.Message}
}

// operate runs an operation and returns its reply as JSON. A panic is an error
// like any other: the caller gets its problem document.
func (i *Ingress) operate(ctx context.Context, op operation, request []byte) (data []byte, err error) {
	defer func() {
		if recover() != nil {
			i.log.Error().Str("operation", op.name).Msg("a handler panicked")
			err = &connectors.Error{Code: connectors.CodeInternal, Message: "internal error"}
		}
	}()
	p, err := op.parse(request)
	if err != nil {
		return nil, err
	}
	reply, err := i.perform(ctx, op, p)
	if err != nil {
		return nil, err
	}
	if reply == nil {
		reply = struct{}{}
	}
	return json.Marshal(reply)
}
