package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
	// OnStoreFailure is called when a stream's store could not write a message, after
	// which it may take none until its server is restarted. Optional.
	OnStoreFailure func(error)
}

// Bus publishes and consumes on one NATS connection. Safe for concurrent use.
// It does not own the connection.
type Bus struct {
	Subjects Subjects

	nc              *nats.Conn
	js              jetstream.JetStream
	publishTimeout  time.Duration
	onMissingStream func(context.Context) error
	onStoreFailure  func(error)
	streams         sync.Map // Stream → jetstream.Stream
}

// NewBus returns a bus over nc. Connect with [ConnectOptions], so that calls fail at
// once while the server is away.
func NewBus(nc *nats.Conn, opts *Options) (*Bus, error) {
	if opts == nil {
		opts = &Options{}
	}
	subjects, err := NewSubjects(opts.Prefix)
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(opts.PublishTimeout, DefaultPublishTimeout)
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(maxPendingPublishes),
		jetstream.WithPublishAsyncTimeout(timeout),
		jetstream.WithDefaultTimeout(timeout))
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &Bus{Subjects: subjects, nc: nc, js: js, publishTimeout: timeout, onMissingStream: opts.OnMissingStream, onStoreFailure: opts.OnStoreFailure}, nil
}

// ConnectOptions returns the options with which Hawser's programs connect: they
// reconnect for ever, and do not buffer while disconnected, so that no publish waits
// for an ack of a message that was not sent.
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

// JetStream returns the JetStream context of the bus.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Ping makes a round trip to the server, bounded by ctx and the publish timeout.
// Without a connection it fails at once.
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

// Flush waits until all publishes are acknowledged and the server has received
// everything sent so far.
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
