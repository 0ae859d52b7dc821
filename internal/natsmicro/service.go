// Package natsmicro serves requests as a NATS micro service: `nats micro ls` lists
// it, and several processes with the same service share its requests.
package natsmicro

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/pkg/events"
)

// codeInternal is the error code of a request that its handler did not answer.
const codeInternal = "INTERNAL"

// pendingRequests and pendingBytes bound what waits for a slot, per endpoint.
// What exceeds them is dropped, and its caller gets no reply.
const (
	pendingRequests = 4096
	pendingBytes    = 64 << 20
)

// Service describes a micro service.
type Service struct {
	Name        string // of letters, digits, _ and -
	Version     string // semantic
	Description string
	Endpoints   []Endpoint
	// Added are further endpoints, which are served from then on. nil: none.
	Added <-chan Endpoint
	// MaxConcurrent bounds the requests that run at once in this process; default
	// 64. Further requests wait.
	MaxConcurrent int
}

// Endpoint answers requests on a subject.
type Endpoint struct {
	Name    string
	Subject string
	Handle  func(context.Context, Request) Reply
}

// Request is a request to a service. Header is never nil.
type Request struct {
	Subject string
	Header  events.Header
	Data    []byte
}

// Reply is a service's answer. With a Code it is an error, and Data its document.
type Reply struct {
	Data []byte
	Code string
	Text string // default: Code
}

// Serve answers requests until ctx ends. Then it accepts no more, answers those
// that have reached this process, and returns. Handlers run under grace; when it
// ends, requests that still wait are refused. serving is called once the server
// knows every endpoint.
func Serve(ctx, grace context.Context, bus *events.Bus, s Service, serving func()) error {
	if s.MaxConcurrent == 0 {
		s.MaxConcurrent = 64
	}
	nc := bus.JetStream().Conn()
	service, err := micro.AddService(nc, micro.Config{Name: s.Name, Version: s.Version, Description: s.Description})
	if err != nil {
		return fmt.Errorf("service %s: %w", s.Name, err)
	}
	server := &server{grace: grace, nc: nc, slots: semaphore.NewWeighted(int64(s.MaxConcurrent))}
	defer func() {
		_ = service.Stop()
		drain(grace, bus)
		server.close()
	}()
	add := func(e Endpoint) error {
		err := service.AddEndpoint(e.Name, server.handler(e), micro.WithEndpointSubject(e.Subject),
			micro.WithEndpointPendingLimits(pendingRequests, pendingBytes))
		if err != nil {
			return fmt.Errorf("service %s, endpoint %s: %w", s.Name, e.Name, err)
		}
		return nil
	}
	for _, e := range s.Endpoints {
		if err := add(e); err != nil {
			return err
		}
	}
	if err := bus.Ping(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("service %s: %w", s.Name, err)
	}
	serving()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.Added:
			if err := add(e); err != nil {
				return err
			}
		}
	}
}

// drain returns when the callbacks of the connection have run for all requests
// that have arrived, or when grace ends.
func drain(grace context.Context, bus *events.Bus) {
	if err := bus.Ping(context.WithoutCancel(grace)); err != nil {
		return // requests that the server has not sent yet are lost with the connection
	}
	done := make(chan struct{})
	if err := bus.JetStream().Conn().Barrier(func() { close(done) }); err != nil {
		return
	}
	select {
	case <-done:
	case <-grace.Done():
	}
}

// server runs the requests of a service.
type server struct {
	grace context.Context
	nc    *nats.Conn
	slots *semaphore.Weighted

	mu      sync.Mutex
	closed  bool // guarded by mu
	running sync.WaitGroup
}

func (s *server) handler(e Endpoint) micro.Handler {
	return micro.HandlerFunc(func(req micro.Request) {
		if s.slots.Acquire(s.grace, 1) != nil || !s.start(func() {
			defer s.slots.Release(1)
			s.answer(e, req)
		}) {
			s.respond(req, Reply{Code: codeInternal, Text: "the service is stopping"})
		}
	})
}

func (s *server) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(f)
	return true
}

func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}

func (s *server) answer(e Endpoint, req micro.Request) {
	h := events.Header(req.Headers())
	if h == nil {
		h = events.Header{}
	}
	ctx := events.EnsureTrace(events.WithTrace(s.grace, h))
	reply := Reply{Code: codeInternal, Text: "the handler failed"}
	func() {
		defer func() { _ = recover() }() // its value may hold anything, secrets too
		reply = e.Handle(ctx, Request{Subject: req.Subject(), Header: h, Data: req.Data()})
	}()
	s.respond(req, reply)
}

// respond sends the reply. A caller that is gone has timed out and is ignored. A
// reply that is too large becomes an error that says so. The request's own methods
// are not used: they write to memory that the library reads after its callback has
// returned.
func (s *server) respond(req micro.Request, r Reply) {
	err := s.nc.PublishMsg(&nats.Msg{Subject: req.Reply(), Header: replyHeader(r), Data: r.Data})
	if err != nil && len(r.Data) > 0 {
		tooLarge := Reply{Code: codeInternal, Text: "the reply could not be sent: it may be too large"}
		_ = s.nc.PublishMsg(&nats.Msg{Subject: req.Reply(), Header: replyHeader(tooLarge)})
	}
}

func replyHeader(r Reply) events.Header {
	if r.Code == "" {
		return nil
	}
	return events.Header{micro.ErrorHeader: {errorText(r)}, micro.ErrorCodeHeader: {r.Code}}
}

// errorText returns the text as one line, which a header value has to be.
func errorText(r Reply) string {
	text := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, r.Text)
	if text = strings.TrimSpace(text); text == "" {
		return r.Code
	}
	return text
}
