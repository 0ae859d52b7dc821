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
// again; if that result is of other input, with [ErrConflict]. What is returned is what
// the stream holds.
func (b *Bus) RequestAction(ctx context.Context, a Action) (Event, error) {
	if err := a.Check(); err != nil {
		return Event{}, err
	}
	results := make(chan *nats.Msg, 4)
	sub, err := b.nc.ChanSubscribe(b.Subjects.storedResult(a.Reference()), results)
	if err != nil {
		return Event{}, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if !a.GeneratedID {
		if e, err := b.ResultOf(ctx, a); !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	a.NotifyStored = true
	if err := b.PublishAction(ctx, a); err != nil {
		return Event{}, err
	}
	return b.awaitResult(ctx, results, a)
}

func (b *Bus) awaitResult(ctx context.Context, results <-chan *nats.Msg, a Action) (Event, error) {
	interval := firstReadInterval
	read := time.NewTimer(interval)
	defer read.Stop()
	for {
		select {
		case msg := <-results:
			// Another message on the subject is not a result, and is ignored.
			if e, err := Decode(msg.Header, msg.Data); err == nil {
				return e, a.checkResult(Header(msg.Header))
			}
		case <-read.C:
			if e, err := b.ResultOf(ctx, a); err == nil || errors.Is(err, ErrConflict) {
				return e, err
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
	if !a.GeneratedID {
		m.put(HeaderInput, a.InputFingerprint())
	}
	if _, err := b.Publish(ctx, b.Subjects.ResultOf(a.Reference()), m, &PublishOptions{ExpectEmpty: true}); err != nil {
		return err
	}
	if a.NotifyStored {
		_ = b.Notify(ctx, b.Subjects.storedResult(a.Reference()), m, nil)
	}
	return nil
}

// ResultOf returns the stored result of a request. [ErrNotFound], [ErrUnavailable], and
// [ErrConflict] with a result that is of other input.
func (b *Bus) ResultOf(ctx context.Context, a Action) (Event, error) {
	e, header, err := b.lastResult(ctx, b.Subjects.ResultOf(a.Reference()))
	if err == nil {
		err = a.checkResult(header)
	}
	return e, err
}

// checkResult returns [ErrConflict] for a result of other input. The results of requests
// with a generated id do not say of which input they are.
func (a Action) checkResult(header Header) error {
	if input := headerValue(header, HeaderInput); input != "" && input != a.InputFingerprint() {
		return ErrConflict
	}
	return nil
}

// StoredResult returns a result by its [Action.Reference], or by a bare request id if only
// one tenant used it; account is that of a bare id, "" the default one. [ErrNotFound],
// [ErrAmbiguous], [ErrUnavailable].
func (b *Bus) StoredResult(ctx context.Context, reference, account string) (Event, error) {
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	if subject, ok := b.Subjects.parseReference(reference); ok {
		// If this is not found, it may be a bare id that has the form of a reference.
		if e, _, err := b.lastResult(ctx, subject); !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	stream, err := b.Stream(ctx, Results)
	if err != nil {
		return Event{}, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.Subjects.resultFilter(account, reference)))
	if err != nil {
		return Event{}, unavailable(err)
	}
	if len(info.State.Subjects) > 1 {
		return Event{}, ErrAmbiguous
	}
	for subject := range info.State.Subjects {
		e, _, err := b.lastResult(ctx, subject)
		return e, err
	}
	return Event{}, ErrNotFound
}

// lastResult returns the result on a subject, and its headers.
func (b *Bus) lastResult(ctx context.Context, subject string) (Event, Header, error) {
	ctx, cancel := b.Deadline(ctx)
	defer cancel()
	stream, err := b.Stream(ctx, Results)
	if err != nil {
		return Event{}, nil, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Event{}, nil, ErrNotFound
	}
	if err != nil {
		return Event{}, nil, unavailable(err)
	}
	e, err := Decode(msg.Header, msg.Data)
	return e, msg.Header, err
}
