package events

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Subjects returns how many messages a stream holds on each subject that matches
// filter, in one page of the server (100,000 subjects).
func (b *Bus) Subjects(ctx context.Context, s Stream, filter string) (map[string]uint64, error) {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	stream, err := b.stream(ctx, s)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, unavailable(err)
	}
	return info.State.Subjects, nil
}

// StreamState is how full a stream is.
type StreamState struct {
	Messages uint64
	Bytes    uint64
	Subjects uint64
}

// State asks how full a stream is.
func (b *Bus) State(ctx context.Context, s Stream) (StreamState, error) {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	stream, err := b.stream(ctx, s)
	if err != nil {
		return StreamState{}, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return StreamState{}, unavailable(err)
	}
	return StreamState{info.State.Msgs, info.State.Bytes, info.State.NumSubjects}, nil
}

// First returns the oldest message at or behind sequence from whose subject
// matches filter; [ErrNotFound] if there is none.
func (b *Bus) First(ctx context.Context, s Stream, from uint64, filter string) (*Delivery, error) {
	return b.message(ctx, s, from, jetstream.WithGetMsgSubject(filter))
}

// Message returns the message with a sequence number.
func (b *Bus) Message(ctx context.Context, s Stream, sequence uint64) (*Delivery, error) {
	return b.message(ctx, s, sequence)
}

func (b *Bus) message(ctx context.Context, s Stream, sequence uint64, opts ...jetstream.GetMsgOpt) (*Delivery, error) {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	stream, err := b.stream(ctx, s)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetMsg(ctx, sequence, opts...)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	d := &Delivery{Subject: msg.Subject, Header: msg.Header, Data: msg.Data, Sequence: msg.Sequence, Stored: msg.Time, Attempt: 1}
	if d.Header == nil {
		d.Header = Header{}
	}
	return d, nil
}

// Remove deletes a message. One that is gone already is no error.
func (b *Bus) Remove(ctx context.Context, s Stream, sequence uint64) error {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	stream, err := b.stream(ctx, s)
	if err != nil {
		return err
	}
	var api *jetstream.APIError
	err = stream.DeleteMsg(ctx, sequence)
	if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) || errors.As(err, &api) && api.Code < 500 {
		return nil
	}
	return unavailable(err)
}
