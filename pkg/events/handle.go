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

// ErrPanic is the error of a handler that panicked. It says where, and does not
// contain the panic's value, which may be a secret.
var ErrPanic = errors.New("events: the handler panicked")

func storedMessage(msg *nats.Msg) (*StoredMessage, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	m := &StoredMessage{
		Subject: msg.Subject, Header: msg.Header, Data: msg.Data,
		Sequence: meta.Sequence.Stream, NumDelivered: int(meta.NumDelivered), Stored: meta.Timestamp,
	}
	if m.Header == nil {
		m.Header = Header{}
	}
	return m, nil
}

// run calls the handler, and acknowledges the message as its error says.
func (l *consumeLoop) run(ctx context.Context, msg *nats.Msg, m *StoredMessage, progress *progressReports) {
	defer progress.stop() // also if the handler ends its goroutine
	err := recovered(func() error { return l.handle(ctx, m) })
	progress.stop()
	l.acknowledge(msg, m, err)
}

func (l *consumeLoop) acknowledge(msg *nats.Msg, m *StoredMessage, handled error) {
	i, instructed := errors.AsType[instruction](handled)
	var err error
	switch {
	case handled == nil:
		err = msg.Ack()
	case instructed && i.discard:
		err = msg.Term()
	case instructed:
		err = msg.NakWithDelay(i.delay)
	default:
		l.OnError(fmt.Errorf("consumer %s, message %d, delivery %d: %w", l.Name, m.Sequence, m.NumDelivered, handled))
		err = msg.NakWithDelay(backoff(m.NumDelivered))
	}
	if err != nil {
		l.OnError(fmt.Errorf("consumer %s, message %d: acknowledge: %w", l.Name, m.Sequence, err))
	}
}

// recovered returns the error of f, or that of its panic.
func recovered(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w at %s", ErrPanic, panicPosition())
		}
	}()
	return f()
}

// panicPosition returns the file and line of the code that panicked. It is called
// from the deferred function.
func panicPosition() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown position"
		}
	}
}

// progressReports sends +WPI acks, which extend AckWait, while a message is handled.
type progressReports struct {
	mu      sync.Mutex
	stopped bool        // guarded by mu
	timer   *time.Timer // guarded by mu
}

// reportProgress starts the reports. Work that ends before the first costs no
// goroutine. A report that cannot be sent does not end the others: the connection
// may be back for the next.
func reportProgress(msg *nats.Msg, interval time.Duration) *progressReports {
	p := &progressReports{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(interval, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stopped {
			return
		}
		_ = msg.InProgress()
		p.timer.Reset(interval)
	})
	return p
}

// stop returns when no report is being sent and none will be.
func (p *progressReports) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
}
