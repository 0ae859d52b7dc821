package executor

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

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
	quotas      *queue.Quotas
	definitions *records.Definitions
	waiting     sync.Map // connector → *semaphore.Weighted, of the calls that wait for a result
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
	if s.quotas.Exceeded(ctx, request.Tenant) {
		return refuse(quotaExceeded())
	}
	waiting, _ := s.waiting.LoadOrStore(request.Connector, semaphore.NewWeighted(maxCallsPerConnector))
	if !waiting.(*semaphore.Weighted).TryAcquire(1) {
		e := connectors.Errorf(connectors.CodeConnectorUnavailable, "too many calls wait for %s; try again, or publish on %s", request.Connector, s.queue.Bus.Subjects.Action(request.ActionRef))
		e.RetryAfter = time.Second
		return refuse(e)
	}
	defer waiting.(*semaphore.Weighted).Release(1)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result, err := s.queue.Bus.RequestAction(ctx, request)
	if err != nil {
		return refuse(requestError(request, s.queue.Bus.Subjects.ResultOf(request.Reference()), err))
	}
	reply := natsmicro.Reply{Data: result.Data()}
	var body outcome
	if json.Unmarshal(result.Data(), &body) == nil && body.Error != nil {
		reply.Code, reply.Text = string(body.Error.Code), body.Error.Message
	}
	return reply
}

func requestError(request events.Action, result string, err error) *connectors.Error {
	switch {
	case errors.Is(err, events.ErrPending):
		return connectors.Errorf(connectors.CodeConnectorActionTimeout, "the request %s has no result yet, and goes on: its result will be on %s", request.ID, result)
	case errors.Is(err, events.ErrTooLarge):
		return connectors.Errorf(connectors.CodeRequestTooLarge, "the request is larger than a message can be")
	case errors.Is(err, events.ErrConflict):
		return idempotencyConflict()
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
