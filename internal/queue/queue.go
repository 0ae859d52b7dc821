// Package queue keeps the work of Hawser's programs in JetStream: the streams and
// their settings, requests and webhooks that are parked until a time, dead letters,
// timers, and bodies that are larger than a message.
//
//	queue.go       Queue: what it consists of
//	subject.go     subjects of parked and due work, timers and dead letters
//	topology.go    the streams and their settings, as one table
//	ensure.go      create and update the streams
//	create.go      copies and size of a new stream; a size that was reduced
//	ensurebodies.go the object stores of large bodies
//	recreate.go    create a stream again that was deleted
//	park.go        park requests and webhooks until a time
//	append.go      append to the audit trail
//	deadletter.go  dead letters: store and read
//	redrive.go     hand a dead letter out again; publish a stored webhook again
//	timer.go       timers of grants and of connections
//	bodies.go      bodies that are larger than a message
//	streams.go     look into streams; delete a message
//	marks.go       how far streams were, and what they have lost since
//	orphans.go     messages that no consumer will hand out
//	scan.go        read the messages of a stream from a time on
//	follow.go      read the messages of a stream as they come
//
// Everything that is published is acknowledged by the stream before a call returns.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// The streams that only Hawser's programs use. Those of package events are open to
// applications.
const (
	Parked     events.Stream = "PARKED"
	Refresh    events.Stream = "REFRESH"
	Dead       events.Stream = "DEAD"
	Advisories events.Stream = "ADVISORIES"
	// Probe holds one message of each process, which shows that the store takes writes.
	Probe events.Stream = "PROBE"
)

// Queue is the work of one installation. Safe for concurrent use. It does not own
// the connection.
type Queue struct {
	Bus      *events.Bus
	Subjects Subjects
	Streams  Streams
	Bodies   Bodies

	onChange        func(Drift)
	recreateTimeout time.Duration
	mu              sync.Mutex
	topology        *Topology // nil until Ensure has succeeded; guarded by mu
	lastRecreate    time.Time // guarded by mu
}

// Options of a [Queue].
type Options struct {
	Prefix         string        // first token of every subject, default "hawser"
	PublishTimeout time.Duration // wait for an ack, default 2 s
	// OnChange is called before a setting of a stream is changed. Optional.
	OnChange func(Drift)
	// OnStoreFailure is [events.Options.OnStoreFailure].
	OnStoreFailure func(error)
}

// New returns a queue over nc, and a bus. Connect with [events.ConnectOptions], so
// that calls fail at once while the server is away.
func New(nc *nats.Conn, opts *Options) (*Queue, error) {
	if opts == nil {
		opts = &Options{}
	}
	timeout := opts.PublishTimeout
	if timeout == 0 {
		timeout = events.DefaultPublishTimeout
	}
	// The publish that finds a stream missing has waited already: half of its time
	// is left.
	q := &Queue{recreateTimeout: timeout / 2, onChange: opts.OnChange}
	if q.onChange == nil {
		q.onChange = func(Drift) {}
	}
	bus, err := events.NewBus(nc, &events.Options{Prefix: opts.Prefix, PublishTimeout: timeout, OnMissingStream: q.recreate, OnStoreFailure: opts.OnStoreFailure})
	if err != nil {
		return nil, err
	}
	q.Bus, q.Subjects, q.Streams, q.Bodies = bus, Subjects{bus.Subjects}, Streams{bus}, Bodies{bus}
	return q, nil
}

// publish stores a message and waits for the ack.
func (q *Queue) publish(ctx context.Context, subject string, m *events.Message, opts *events.PublishOptions) error {
	_, err := q.Bus.Publish(ctx, subject, m, opts)
	return err
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
}

// refused returns an error of the server as it is, and any other as unavailable.
func refused(err error) error {
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return err
	}
	return unavailable(err)
}
