package events

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/micro"
)

// Headers of a service's error reply, as the NATS micro protocol names them.
const (
	HeaderErrorCode = micro.ErrorCodeHeader
	HeaderError     = micro.ErrorHeader
)

// Service is a NATS micro service: `nats micro ls` lists it. Several processes
// with the same service share its requests.
type Service struct {
	Name        string // of letters, digits, _ and -
	Version     string // semantic
	Description string
	Endpoints   []Endpoint
	// Most bounds the requests that run at once in this process; default 64. A
	// request that finds no place waits for one.
	Most int
}

// Endpoint answers requests on a subject.
type Endpoint struct {
	Name    string
	Subject string
	Handle  func(context.Context, Ask) Reply
}

// Ask is a request to a service.
type Ask struct {
	Subject string
	Header  Header
	Data    []byte
}

// Reply is a service's answer. With a Code it is an error, and Data its document.
type Reply struct {
	Data []byte
	Code string
	Text string
}

// Serve answers requests until ctx ends; then it takes no more, waits for those
// that run, and returns. Handlers run under grace. serving is called once the
// server knows of every endpoint.
func (b *Bus) Serve(ctx, grace context.Context, s Service, serving func()) error {
	if s.Most == 0 {
		s.Most = 64
	}
	service, err := micro.AddService(b.nc, micro.Config{Name: s.Name, Version: s.Version, Description: s.Description})
	if err != nil {
		return fmt.Errorf("events: service %s: %w", s.Name, err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { _ = service.Stop() }()
	slots := NewSlots(s.Most)
	for _, e := range s.Endpoints {
		err := service.AddEndpoint(e.Name, micro.HandlerFunc(func(req micro.Request) {
			if slots.acquire(grace, 1) == 0 {
				return
			}
			running.Go(func() {
				defer slots.release(1)
				answer(grace, e, req)
			})
		}), micro.WithEndpointSubject(e.Subject))
		if err != nil {
			return fmt.Errorf("events: service %s, endpoint %s: %w", s.Name, e.Name, err)
		}
	}
	if err := b.Ping(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("events: service %s: %w", s.Name, err)
	}
	serving()
	<-ctx.Done()
	return nil
}

func answer(ctx context.Context, e Endpoint, req micro.Request) {
	reply := Reply{Code: "INTERNAL", Text: "the handler failed"}
	h := Header(req.Headers())
	ctx = EnsureTrace(WithTrace(ctx, h))
	_ = protect(func() error {
		reply = e.Handle(ctx, Ask{Subject: req.Subject(), Header: h, Data: req.Data()})
		return nil
	})
	// A caller that is gone is not our concern: its request timed out.
	if reply.Code != "" {
		_ = req.Error(reply.Code, reply.Text, reply.Data)
		return
	}
	_ = req.Respond(reply.Data)
}
