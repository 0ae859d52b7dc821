package api

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// operationTimeout bounds one control operation.
	operationTimeout = 30 * time.Second
	// maxOperations bounds those that run at once in this process: connecting may
	// wait for a provider, and must not hold up the others.
	maxOperations = 256
	// missing is the error code of a 404 without a code of ours: a reply without one is
	// no error.
	missing = "404"
)

// Serve serves the operations as a NATS micro service until ctx ends; those that
// run may finish until grace ends. serving is called once they are served.
func (a *API) Serve(ctx, grace context.Context, serving func()) error {
	service := natsmicro.Service{Name: "hawser-api", Version: "1.0.0", Description: "Hawser's control operations", MaxConcurrent: maxOperations}
	for _, op := range a.operations {
		service.Endpoints = append(service.Endpoints, natsmicro.Endpoint{
			Name: strings.ReplaceAll(op.name, ".", "-"), Subject: a.Queue.Bus.Subjects.API(op.name),
			Handle: func(ctx context.Context, ask natsmicro.Request) natsmicro.Reply { return a.overNATS(ctx, op, ask) },
		})
	}
	return natsmicro.Serve(ctx, grace, a.Queue.Bus, service, serving)
}

func (a *API) overNATS(ctx context.Context, op operation, ask natsmicro.Request) natsmicro.Reply {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	began := time.Now()
	data, err := a.operate(ctx, op, ask)
	line := a.opts.Log.Info().Str("operation", op.name).Str("trace_id", events.TraceID(ctx)).Dur("ms", time.Since(began))
	if err == nil {
		line.Msg("nats")
		return natsmicro.Reply{Data: data}
	}
	code, document := missing, problem.Document{}
	if d, ok := problem.Missing(err); ok {
		document = d
	} else {
		e := connectors.AsError(err)
		code, document = string(e.Code), problem.Of(e)
	}
	line.Str("code", code).Msg("nats")
	if data, err = json.Marshal(document); err != nil {
		data = nil
	}
	return natsmicro.Reply{Data: data, Code: code, Text: document.Detail}
}

// operate runs an operation and returns its reply as JSON. A panic becomes an
// error, so that the caller gets a problem document.
func (a *API) operate(ctx context.Context, op operation, ask natsmicro.Request) (data []byte, err error) {
	defer func() {
		if recover() != nil {
			a.opts.Log.Error().Str("operation", op.name).Msg("a handler panicked")
			err = &connectors.Error{Code: connectors.CodeInternal, Message: "internal error"}
		}
	}()
	c, refusal := a.identifyNATS(ctx, ask)
	ctx, finish, err := a.guard(ctx, c, refusal, &audit.Entry{Via: "nats", Operation: op.name, RequestID: events.NewID()})
	if err != nil {
		return nil, err
	}
	ran := false
	defer func() {
		if !ran && err == nil { // a panic, which is not handled yet
			finish(&connectors.Error{Code: connectors.CodeInternal}, 0)
			return
		}
		finish(err, op.status)
	}()
	p, err := op.parse(ask.Data)
	if err != nil {
		return nil, err
	}
	reply, err := a.perform(ctx, op, p)
	ran = true
	if err != nil {
		return nil, err
	}
	if reply == nil {
		reply = struct{}{}
	}
	return json.Marshal(reply)
}
