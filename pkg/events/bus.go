package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the bus. Everything that fails for want of the server (stopped,
// paused, full, no stream) is ErrUnavailable: nothing was promised, try again.
var (
	ErrUnavailable = errors.New("events: NATS is unavailable")
	ErrExists      = errors.New("events: the subject already holds a message")
	// ErrInProgress comes with ErrExists where the other message is not stored yet,
	// and may still fail to be.
	ErrInProgress = errors.New("events: another message on the subject is being stored")
	ErrNotFound   = errors.New("events: no such message")
	ErrTooLarge   = errors.New("events: the message is larger than the server accepts")
)

const (
	// DefaultPublishTimeout is how long a publish waits for its ack.
	DefaultPublishTimeout = 2 * time.Second
	maxPendingPublishes   = 8192
)

// Options of a [Bus].
type Options struct {
	Prefix         string        // first token of every subject, default "hawser"
	PublishTimeout time.Duration // wait for an ack, default 2 s
	// OnMissingStream is called when the stream of a publish or a consumer does not
	// exist. What it returns is added to the error. Optional.
	OnMissingStream func(context.Context) error
}

// Bus publishes and consumes on one NATS connection. Safe for concurrent use.
// It does not own the connection.
type Bus struct {
	Subjects Subjects

	nc              *nats.Conn
	js              jetstream.JetStream
	publishTimeout  time.Duration
	onMissingStream func(context.Context) error
	streams         sync.Map // Stream → jetstream.Stream
}

// NewBus returns a bus over nc. Connect with [ConnectOptions], so that a server
// that is gone shows at once.
func NewBus(nc *nats.Conn, opts *Options) (*Bus, error) {
	if opts == nil {
		opts = &Options{}
	}
	subjects, err := NewSubjects(opts.Prefix)
	if err != nil {
		return nil, err
	}
	timeout := opts.PublishTimeout
	if timeout == 0 {
		timeout = DefaultPublishTimeout
	}
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(maxPendingPublishes),
		jetstream.WithPublishAsyncTimeout(timeout),
		jetstream.WithDefaultTimeout(timeout))
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &Bus{Subjects: subjects, nc: nc, js: js, publishTimeout: timeout, onMissingStream: opts.OnMissingStream}, nil
}

// ConnectOptions are the options with which Hawser's programs connect: they
// reconnect for ever, and refuse to buffer while disconnected, so that nobody
// waits for an ack of what was never sent.
func ConnectOptions(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
		nats.FlusherTimeout(2 * time.Second),
		nats.DrainTimeout(5 * time.Second),
	}
}

// JetStream gives drivers of this repository (the KV store) the same connection.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Ping proves that the server answers: a full round trip, bounded by ctx and the
// publish timeout. Without a connection it fails at once.
func (b *Bus) Ping(ctx context.Context) error {
	if b.nc.Status() != nats.CONNECTED {
		return unavailable(nats.ErrDisconnected)
	}
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// Flush waits until everything sent so far has left this process.
func (b *Bus) Flush(ctx context.Context) error {
	select {
	case <-b.js.PublishAsyncComplete():
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	return b.Ping(ctx)
}

// Stream returns a handle of a stream. It asks the server once per stream.
func (b *Bus) Stream(ctx context.Context, s Stream) (jetstream.Stream, error) {
	if known, ok := b.streams.Load(s); ok {
		return known.(jetstream.Stream), nil
	}
	stream, err := b.js.Stream(ctx, b.Subjects.StreamName(s))
	if err != nil {
		return nil, unavailable(err)
	}
	b.streams.Store(s, stream)
	return stream, nil
}

// checkStream calls OnMissingStream if err says that a stream does not exist. It
// returns answer, with what that found.
func (b *Bus) checkStream(ctx context.Context, err, answer error) error {
	missing := errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse)
	if !missing || b.onMissingStream == nil {
		return answer
	}
	if err := b.onMissingStream(ctx); err != nil {
		return fmt.Errorf("%w: %w", answer, err)
	}
	return answer
}

// Deadline returns ctx with the deadline of one call of the server.
func (b *Bus) Deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, b.publishTimeout)
}

// unavailable wraps an error of the client or the server that means: not now.
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Codes of the server that the client has no names for.
const (
	codeResources    = 10002 // the account's store is full; its status is 400, as if the message were at fault
	codeHeaderTooBig = 10097
)

// classify turns an error of a publish into one of ours.
func classify(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			return ErrTooLarge
		case errors.Is(err, nats.ErrBadSubject):
			return fmt.Errorf("%w: %w", ErrSubject, err)
		}
		return unavailable(err)
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return ErrExists
	case jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fmt.Errorf("%w: %w", ErrExists, ErrInProgress)
	case jetstream.JSErrCodeStreamMessageExceedsMaximum, codeHeaderTooBig:
		return ErrTooLarge
	case codeResources:
		return unavailable(err)
	}
	if api.Code == 400 {
		return fmt.Errorf("events: the server refused the message: %w", err)
	}
	return unavailable(err)
}
