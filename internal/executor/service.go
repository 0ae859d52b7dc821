package executor

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// callTimeout is how long hawser.call waits for a result.
	callTimeout = 60 * time.Second
	// Calls that wait at once in this process: of all connectors, and of one, so that the
	// calls of a slow provider leave room for others.
	maxCalls, maxCallsPerConnector = 4096, 512
)

// callService answers hawser.call.>: it publishes the request like any other and replies
// with its result, which any executor may store.
type callService struct {
	queue       *queue.Queue
	definitions *records.Definitions
	mu          sync.Mutex
	waiting     map[string]int // connector → calls that wait for a result
}

func (s *callService) answer(ctx context.Context, ask natsmicro.Request) natsmicro.Reply {
	message := &events.StoredMessage{Subject: ask.Subject, Header: ask.Header, Data: ask.Data, Stored: time.Now()}
	if message.Header == nil {
		message.Header = events.Header{}
	}
	request, err := s.queue.Subjects.ReadAction(message)
	if err != nil {
		return refuse(connectors.AsError(inputInvalid(err)))
	}
	if request.GeneratedID {
		request.ID = events.NewID()
	}
	if _, err := s.definitions.Get(request.Connector); err != nil {
		return refuse(connectors.AsError(err))
	}
	if !s.begin(request.Connector) {
		e := connectors.Errorf(connectors.CodeConnectorRateLimited, "too many calls wait for %s; try again, or publish on %s", request.Connector, s.queue.Bus.Subjects.Action(request.ActionRef))
		e.RetryAfter = time.Second
		return refuse(e)
	}
	defer s.end(request.Connector)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result, err := s.queue.Bus.RequestAction(ctx, request)
	if err != nil {
		return refuse(requestError(err))
	}
	reply := natsmicro.Reply{Data: result.Data()}
	var body outcome
	if json.Unmarshal(result.Data(), &body) == nil && body.Error != nil {
		reply.Code, reply.Text = string(body.Error.Code), body.Error.Message
	}
	return reply
}

func (s *callService) begin(connector string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[connector] >= maxCallsPerConnector {
		return false
	}
	s.waiting[connector]++
	return true
}

func (s *callService) end(connector string) {
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

func refuse(e *connectors.Error) natsmicro.Reply { return errorReply(e, outcome{Error: e}) }

func errorReply(e *connectors.Error, document any) natsmicro.Reply {
	body, err := json.Marshal(document)
	if err != nil {
		body = nil
	}
	return natsmicro.Reply{Data: body, Code: string(e.Code), Text: e.Message}
}
