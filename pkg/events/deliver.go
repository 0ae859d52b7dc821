package events

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrPanic is what a handler's panic becomes. It says where, and does not carry
// the value, which may hold anything.
var ErrPanic = errors.New("events: the handler panicked")

func delivery(msg *nats.Msg) (*StoredMessage, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	d := &StoredMessage{
		Subject: msg.Subject, Header: msg.Header, Data: msg.Data,
		Sequence: meta.Sequence.Stream, NumDelivered: int(meta.NumDelivered), Stored: meta.Timestamp,
	}
	if d.Header == nil {
		d.Header = Header{}
	}
	return d, nil
}

// deliver runs the handler and carries out its instruction.
func (l *loop) deliver(ctx context.Context, msg *nats.Msg, d *StoredMessage, alive *heartbeat) {
	// A handler that ends its goroutine must not be kept alive for ever.
	defer alive.stop()
	err := protect(func() error { return l.handle(ctx, d) })
	alive.stop()
	l.settle(msg, d, err)
}

func (l *loop) settle(msg *nats.Msg, d *StoredMessage, answer error) {
	i, instructed := errors.AsType[instruction](answer)
	var err error
	switch {
	case answer == nil:
		err = msg.Ack()
	case instructed && i.discard:
		err = msg.Term()
	case instructed:
		err = msg.NakWithDelay(i.after)
	default:
		l.OnError(fmt.Errorf("consumer %s, message %d, delivery %d: %w", l.Name, d.Sequence, d.NumDelivered, answer))
		err = msg.NakWithDelay(backoff(d.NumDelivered))
	}
	if err != nil {
		l.OnError(fmt.Errorf("consumer %s, message %d: acknowledge: %w", l.Name, d.Sequence, err))
	}
}

// protect turns a panic into an error.
func protect(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w at %s", ErrPanic, panicPlace())
		}
	}()
	return f()
}

// panicPlace is the file and line of the code that panicked. It is called from
// the deferred function.
func panicPlace() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// heartbeat tells the server again and again that a message is being worked on.
type heartbeat struct {
	mu      sync.Mutex
	stopped bool        // guarded by mu
	timer   *time.Timer // guarded by mu
}

// keepAlive starts a heartbeat. No timer fires, and no goroutine runs, for work
// that is done before the first beat. A beat that cannot be sent does not end it:
// the connection may be back for the next.
func keepAlive(msg *nats.Msg, every time.Duration) *heartbeat {
	h := &heartbeat{}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(every, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.stopped {
			return
		}
		_ = msg.InProgress()
		h.timer.Reset(every)
	})
	return h
}

// stop returns when no beat is under way and none will come.
func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.timer.Stop()
}
