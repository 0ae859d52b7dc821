package events

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrPending is returned when a request is stored and has no result yet.
var ErrPending = errors.New("events: the request has no result yet")

// ErrAmbiguous is returned when a bare request id has results of several tenants.
var ErrAmbiguous = errors.New("events: several tenants used this request id: give the whole reference")

// A request that waits also reads the stream, at growing intervals: the message about
// its result is lost if the connection is down.
const (
	firstReadInterval = 500 * time.Millisecond
	maxReadInterval   = 5 * time.Second
)

// PublishAction stores a request and waits for the stream's ack. Errors as
// [Bus.Publish], and [ErrRequest] if its id cannot be carried.
func (b *Bus) PublishAction(ctx context.Context, a Action) error {
	if err := a.Check(); err != nil {
		return err
	}
	_, err := b.Publish(ctx, b.Subjects.Action(a.ActionRef), a.Message(), nil)
	return err
}

// RequestAction stores a request and waits for its result until ctx ends, which is
// [ErrPending]: the request goes on, and [Bus.StoredResult] finds the result later.
// A request whose id has a result already is answered with it, and not stored
// again. What is returned is what the stream holds.
func (b *Bus) RequestAction(ctx context.Context, a Action) (Event, error) {
	if err := a.Check(); err != nil {
		return Event{}, err
	}
	results := make(chan *nats.Msg, 4)
	sub, err := b.nc.ChanSubscribe(b.Subjects.storedResult(a.ActionRef, a.ID), results)
	if err != nil {
		return Event{}, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	subject := b.Subjects.Result(a.ActionRef, a.ID)
	if !a.GeneratedID {
		if e, err := b.lastResult(ctx, subject); !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	a.NotifyStored = true
	if err := b.PublishAction(ctx, a); err != nil {
		return Event{}, err
	}
	return b.awaitResult(ctx, results, subject)
}

func (b *Bus) awaitResult(ctx context.Context, results <-chan *nats.Msg, subject string) (Event, error) {
	interval := firstReadInterval
	read := time.NewTimer(interval)
	defer read.Stop()
	for {
		select {
		case msg := <-results:
			// Another message on the subject is not a result, and is ignored.
			if e, err := Decode(msg.Header, msg.Data); err == nil {
				return e, nil
			}
		case <-read.C:
			if e, err := b.lastResult(ctx, subject); err == nil {
				return e, nil
			}
			interval = min(2*interval, maxReadInterval)
			read.Reset(interval)
		case <-ctx.Done():
			return Event{}, ErrPending
		}
	}
}

// PublishResult stores the result of a request if it is the first, else
// [ErrExists]; errors as of [Bus.Publish]. If a caller waits, the result is then
// published again for it. The publisher does that, since a stream that republishes
// stores at half the rate (decision 5); a caller that misses it finds the result in
// the stream.
func (b *Bus) PublishResult(ctx context.Context, a Action, m *Message) error {
	if _, err := b.Publish(ctx, b.Subjects.Result(a.ActionRef, a.ID), m, &PublishOptions{ExpectEmpty: true}); err != nil {
		return err
	}
	if a.NotifyStored {
		_ = b.Notify(ctx, b.Subjects.storedResult(a.ActionRef, a.ID), m, nil)
	}
	return nil
}

// ResultOf returns the stored result of a request. [ErrNotFound],
// [ErrUnavailable].
func (b *Bus) ResultOf(ctx context.Context, r ActionRef, requestID string) (Event, error) {
	return b.lastResult(ctx, b.Subjects.Result(r, requestID))
}

// StoredResult returns a result by its [Reference], or by a bare request id if
// only one tenant used it. [ErrNotFound], [ErrAmbiguous], [ErrUnavailable].
func (b *Bus) StoredResult(ctx context.Context, reference string) (Event, error) {
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	if subject, ok := b.Subjects.parseReference(reference); ok {
		// If this is not found, it may be a bare id that has the form of a reference.
		if e, err := b.lastResult(ctx, subject); !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	stream, err := b.Stream(ctx, Results)
	if err != nil {
		return Event{}, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.Subjects.ResultFilter(reference)))
	if err != nil {
		return Event{}, unavailable(err)
	}
	if len(info.State.Subjects) > 1 {
		return Event{}, ErrAmbiguous
	}
	for subject := range info.State.Subjects {
		return b.lastResult(ctx, subject)
	}
	return Event{}, ErrNotFound
}

// lastResult returns the result on a subject.
func (b *Bus) lastResult(ctx context.Context, subject string) (Event, error) {
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	stream, err := b.Stream(ctx, Results)
	if err != nil {
		return Event{}, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Event{}, ErrNotFound
	}
	if err != nil {
		return Event{}, unavailable(err)
	}
	return Decode(msg.Header, msg.Data)
}
