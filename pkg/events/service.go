package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Headers of a service's error reply, as the NATS micro protocol names them.
const (
	HeaderErrorCode = micro.ErrorCodeHeader
	HeaderError     = micro.ErrorHeader
)

// codeInternal is the code of what a handler did not answer itself.
const codeInternal = "INTERNAL"

// waitingRequests and waitingBytes bound what waits for a place, per endpoint.
// What exceeds them is dropped, and its caller hears nothing.
const (
	waitingRequests = 4096
	waitingBytes    = 64 << 20
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

// Ask is a request to a service. Header is never nil.
type Ask struct {
	Subject string
	Header  Header
	Data    []byte
}

// Reply is a service's answer. With a Code it is an error, and Data its document.
type Reply struct {
	Data []byte
	Code string
	Text string // default: Code
}

// Serve answers requests until ctx ends; then it takes no more, answers those
// that have reached this process, and returns. Handlers run under grace; with its
// end, what has no place yet is refused. serving is called once the server knows
// of every endpoint.
func (b *Bus) Serve(ctx, grace context.Context, s Service, serving func()) error {
	if s.Most == 0 {
		s.Most = 64
	}
	service, err := micro.AddService(b.nc, micro.Config{Name: s.Name, Version: s.Version, Description: s.Description})
	if err != nil {
		return fmt.Errorf("events: service %s: %w", s.Name, err)
	}
	desk := &desk{grace: grace, nc: b.nc, slots: newSlots(s.Most)}
	defer func() {
		_ = service.Stop()
		b.drained(grace)
		desk.close()
	}()
	for _, e := range s.Endpoints {
		err := service.AddEndpoint(e.Name, desk.handler(e), micro.WithEndpointSubject(e.Subject),
			micro.WithEndpointPendingLimits(waitingRequests, waitingBytes))
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

// drained returns when the callbacks of this connection have run for all that
// arrived until now, or when grace has ended.
func (b *Bus) drained(grace context.Context) {
	if err := b.Ping(context.WithoutCancel(grace)); err != nil {
		return // what the server had for us is lost with the connection
	}
	done := make(chan struct{})
	if err := b.nc.Barrier(func() { close(done) }); err != nil {
		return
	}
	select {
	case <-done:
	case <-grace.Done():
	}
}

// desk runs the requests of a service.
type desk struct {
	grace context.Context
	nc    *nats.Conn
	slots *slots

	mu      sync.Mutex
	closed  bool // guarded by mu
	running sync.WaitGroup
}

func (k *desk) handler(e Endpoint) micro.Handler {
	return micro.HandlerFunc(func(req micro.Request) {
		if !k.slots.acquire(k.grace) || !k.start(func() {
			defer k.slots.release(1)
			answer(k.grace, k.nc, e, req)
		}) {
			respond(k.nc, req, Reply{Code: codeInternal, Text: "the service is stopping"})
		}
	})
}

func (k *desk) start(f func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.running.Go(f)
	return true
}

func (k *desk) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.running.Wait()
}

func answer(ctx context.Context, nc *nats.Conn, e Endpoint, req micro.Request) {
	h := Header(req.Headers())
	if h == nil {
		h = Header{}
	}
	ctx = EnsureTrace(WithTrace(ctx, h))
	reply := Reply{Code: codeInternal, Text: "the handler failed"}
	_ = protect(func() error {
		reply = e.Handle(ctx, Ask{Subject: req.Subject(), Header: h, Data: req.Data()})
		return nil
	})
	respond(nc, req, reply)
}

// respond sends the reply. A caller that is gone is not our concern: its request
// timed out. A reply that is too large becomes an error that says so. It does not
// go through the request's own methods: they write to what the library reads when
// its callback has returned, and ours has by then.
func respond(nc *nats.Conn, req micro.Request, r Reply) {
	err := nc.PublishMsg(&nats.Msg{Subject: req.Reply(), Header: replyHeader(r), Data: r.Data})
	if err != nil && len(r.Data) > 0 {
		tooLarge := Reply{Code: codeInternal, Text: "the reply could not be sent: it may be too large"}
		_ = nc.PublishMsg(&nats.Msg{Subject: req.Reply(), Header: replyHeader(tooLarge)})
	}
}

func replyHeader(r Reply) Header {
	if r.Code == "" {
		return nil
	}
	return Header{micro.ErrorHeader: {errorText(r)}, micro.ErrorCodeHeader: {r.Code}}
}

// errorText is a header's value: no message without one, and one line.
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

// ErrNoResponders is returned when nobody serves a subject.
var ErrNoResponders = errors.New("events: nobody answers on this subject")

// askTimeout bounds an Ask whose context has no deadline.
const askTimeout = 30 * time.Second

// Ask sends a request to a service and returns its reply. [ErrNoResponders]
// when nobody serves the subject, [ErrTooLarge], [ErrUnavailable] when no answer
// came in time: before ctx ends, or in 30 s if it has no deadline.
func (b *Bus) Ask(ctx context.Context, subject string, data []byte) (Header, []byte, error) {
	if err := checkSubject(subject); err != nil {
		return nil, nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	h := Header{}
	setTrace(ctx, h)
	msg, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, nil, fmt.Errorf("%w: %s", ErrNoResponders, subject)
	case err != nil:
		return nil, nil, classify(err)
	}
	return msg.Header, msg.Data, nil
}
