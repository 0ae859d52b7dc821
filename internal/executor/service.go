package executor

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// callPatience is how long hawser.call waits for a result.
	callPatience = 60 * time.Second
	// Calls that wait at once in this process: of all connectors, and of one, so
	// that a slow provider does not keep others from being called.
	mostCalls, mostCallsOfOne = 4096, 512
)

// serve answers hawser.call.> and, for each connector, hawser.validate.
func (x *Executor) serve(ctx, grace context.Context, serving func()) error {
	calls := &calls{Executor: x, waiting: map[string]int{}}
	service := events.Service{
		Name: "hawser-executor", Version: "1.0.0", Description: "actions by request-reply", Most: mostCalls,
		Endpoints: []events.Endpoint{{Name: "call", Subject: x.Bus.Calls(), Handle: calls.answer}},
	}
	for _, c := range x.Registry.All() {
		service.Endpoints = append(service.Endpoints, events.Endpoint{
			Name: "validate-" + c.Key, Subject: x.Bus.Validate(c.Key),
			Handle: func(ctx context.Context, ask events.Ask) events.Reply { return x.answerValidate(ctx, c, ask) },
		})
	}
	return x.Bus.Serve(ctx, grace, service, serving)
}

// calls answers hawser.call.>.
type calls struct {
	*Executor
	mu      sync.Mutex
	waiting map[string]int // connector → calls that wait for a result
}

// answer puts the request into the queue like any other and replies with its
// result: the same guarantees, whoever runs it.
func (s *calls) answer(ctx context.Context, ask events.Ask) events.Reply {
	d := &events.Delivery{Subject: ask.Subject, Header: ask.Header, Data: ask.Data, Stored: time.Now()}
	if d.Header == nil {
		d.Header = events.Header{}
	}
	request, err := s.Bus.ReadAction(d)
	if err != nil {
		return refusal(connectors.AsError(inputInvalid(err)))
	}
	if request.MadeUp {
		request.ID = events.NewID()
	}
	request.Attempt = 0
	if _, err := s.Definitions.Get(request.Connector); err != nil {
		return refusal(connectors.AsError(err))
	}
	if !s.enter(request.Connector) {
		e := connectors.Errorf(connectors.CodeConnectorRateLimited, "too many calls wait for %s; try again, or publish on %s", request.Connector, s.Bus.Action(request.ActionRef))
		e.RetryAfter = time.Second
		return refusal(e)
	}
	defer s.leave(request.Connector)
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	result, err := s.Bus.Request(ctx, request)
	if err != nil {
		return refusal(requestError(err))
	}
	reply := events.Reply{Data: result.Data()}
	var body outcome
	if json.Unmarshal(result.Data(), &body) == nil && body.Error != nil {
		reply.Code, reply.Text = string(body.Error.Code), body.Error.Message
	}
	return reply
}

func (s *calls) enter(connector string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[connector] >= mostCallsOfOne {
		return false
	}
	s.waiting[connector]++
	return true
}

func (s *calls) leave(connector string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[connector]--; s.waiting[connector] == 0 {
		delete(s.waiting, connector)
	}
}

func requestError(err error) *connectors.Error {
	if errors.Is(err, events.ErrPending) {
		return connectors.Errorf(connectors.CodeConnectorActionTimeout, "the result is not there yet; the request goes on")
	}
	if errors.Is(err, events.ErrTooLarge) {
		return connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "the request is larger than a message can be")
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the request could not be stored; try again")
	e.Cause = err
	return e
}

func refusal(e *connectors.Error) events.Reply {
	body, err := json.Marshal(outcome{Error: e})
	if err != nil {
		body = nil
	}
	return events.Reply{Data: body, Code: string(e.Code), Text: e.Message}
}
