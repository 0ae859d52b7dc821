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

// control serves the operations on NATS, as a micro service.
func (i *Ingress) control(ctx, grace context.Context, serving func()) error {
	service := events.Service{Name: "hawser-api", Version: "1.0.0", Description: "Hawser's control operations"}
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
	var p params
	err := parseParams(ask.Data, &p)
	var reply any
	if err == nil {
		reply, err = op.run(i, ctx, p)
	}
	var data []byte
	if err == nil && reply == nil {
		reply = struct{}{}
	}
	if err == nil {
		data, err = json.Marshal(reply)
	}
	line := i.log.Info().Str("operation", op.name).Str("trace_id", events.TraceID(ctx)).Dur("ms", time.Since(began))
	if err == nil {
		line.Msg("nats")
		return events.Reply{Data: data}
	}
	e := asError(err)
	line.Str("code", string(e.Code)).Msg("nats")
	if data, err = json.Marshal(problemOf(e)); err != nil {
		e, data = &connectors.Error{Code: connectors.CodeInternal, Message: "internal error"}, nil
	}
	return events.Reply{Data: data, Code: string(e.Code), Text: e.Message}
}
