package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrPending is returned when a request is stored and its result is not there yet.
var ErrPending = errors.New("events: the result is not there yet")

// ErrAmbiguous is returned when a bare request id has results of several tenants.
var ErrAmbiguous = errors.New("events: several tenants used this request id; name the tenant")

// ErrNoResponders is returned when nobody serves a subject.
var ErrNoResponders = errors.New("events: nobody answers on this subject")

// PublishAction stores a request and waits for the stream's ack.
func (b *Bus) PublishAction(ctx context.Context, a Action) error {
	h := a.Headers()
	setTrace(ctx, h)
	p, err := b.PublishRaw(b.Action(a.ActionRef), h, a.Input, nil)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}

// Request stores a request and waits for its result until ctx ends, which is
// [ErrPending]: the request goes on, and [Bus.StoredResult] finds the result later. A
// request whose id has a result already is answered with it, and not stored again.
func (b *Bus) Request(ctx context.Context, a Action) (Event, error) {
	subject := b.Result(a.ActionRef, a.ID)
	results := make(chan *nats.Msg, 4)
	sub, err := b.nc.ChanSubscribe(subject, results)
	if err != nil {
		return Event{}, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if !a.MadeUp {
		if e, err := b.lastEvent(ctx, Results, subject); !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	if err := b.PublishAction(ctx, a); err != nil {
		return Event{}, err
	}
	for {
		select {
		case msg := <-results:
			// Anything else on the subject is not from an executor.
			if e, err := Decode(msg.Header, msg.Data); err == nil {
				return e, nil
			}
		case <-ctx.Done():
			return Event{}, ErrPending
		}
	}
}

// HasResult reports whether a request has its result.
func (b *Bus) HasResult(ctx context.Context, r ActionRef, requestID string) (bool, error) {
	_, err := b.last(ctx, Results, b.Result(r, requestID))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// StoredResult returns a result by its [Reference], or by a bare request id if
// only one tenant used it. [ErrNotFound], [ErrAmbiguous], [ErrUnavailable].
func (b *Bus) StoredResult(ctx context.Context, reference string) (Event, error) {
	subject := b.resultSubject(reference)
	if subject == b.ResultsOf(reference) {
		stream, err := b.stream(ctx, Results)
		if err != nil {
			return Event{}, err
		}
		ctx, cancel := b.deadline(ctx)
		defer cancel()
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return Event{}, unavailable(err)
		}
		if len(info.State.Subjects) > 1 {
			return Event{}, ErrAmbiguous
		}
	}
	return b.lastEvent(ctx, Results, subject)
}

func (b *Bus) lastEvent(ctx context.Context, s Stream, subject string) (Event, error) {
	msg, err := b.last(ctx, s, subject)
	if err != nil {
		return Event{}, err
	}
	return Decode(msg.Header, msg.Data)
}

func (b *Bus) last(ctx context.Context, s Stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	stream, err := b.stream(ctx, s)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return msg, nil
}

// stream returns a handle, asking the server for it once per stream.
func (b *Bus) stream(ctx context.Context, s Stream) (jetstream.Stream, error) {
	if h, ok := b.handles.Load(s); ok {
		return h.(jetstream.Stream), nil
	}
	h, err := b.js.Stream(ctx, b.Stream(s))
	if err != nil {
		return nil, unavailable(err)
	}
	b.handles.Store(s, h)
	return h, nil
}

// Ask sends a request to a service and returns its reply. [ErrNoResponders]
// when nobody serves the subject, [ErrUnavailable] when no answer came in time.
func (b *Bus) Ask(ctx context.Context, subject string, data []byte) (Header, []byte, error) {
	h := Header{}
	setTrace(ctx, h)
	msg, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoResponders, subject)
	}
	if err != nil {
		return nil, nil, unavailable(err)
	}
	return msg.Header, msg.Data, nil
}
