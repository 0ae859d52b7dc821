package events

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Subjects returns how many messages a stream holds on each subject that matches
// filter, in one page of the server (100,000 subjects): memory stays bounded
// whatever the stream holds.
func (b *Bus) Subjects(ctx context.Context, s Stream, filter string) (map[string]uint64, error) {
	ctx, cancel := b.deadline(ctx)
	defer cancel()
	query, err := json.Marshal(struct {
		Filter string `json:"subjects_filter"`
	}{filter})
	if err != nil {
		return nil, err
	}
	// The client's own call reads all pages.
	msg, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+b.Stream(s), query)
	if err != nil {
		return nil, unavailable(err)
	}
	var reply struct {
		Error *jetstream.APIError `json:"error"`
		State struct {
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return nil, unavailable(err)
	}
	if reply.Error != nil {
		return nil, unavailable(reply.Error)
	}
	return reply.State.Subjects, nil
}

// StreamState is how full a stream is.
type StreamState struct {
	Messages uint64
	Bytes    uint64
	MaxBytes uint64 // 0: no limit of the stream's own
	Subjects uint64
	Last     uint64 // sequence of the newest message, there or gone
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
	return StreamState{
		Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: uint64(max(info.Config.MaxBytes, 0)),
		Subjects: info.State.NumSubjects, Last: info.State.LastSeq,
	}, nil
}

// First returns the oldest message at or behind sequence from whose subject
// matches filter; [ErrNotFound] if there is none.
func (b *Bus) First(ctx context.Context, s Stream, from uint64, filter string) (*Delivery, error) {
	return b.message(ctx, s, max(from, 1), jetstream.WithGetMsgSubject(filter))
}

// Message returns the message with a sequence number; [ErrNotFound] if it is gone.
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
	// A direct read says with headers of its own what is said here by fields.
	for _, name := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer, "Nats-Num-Pending", "Nats-Last-Sequence"} {
		delete(d.Header, name)
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
	err = stream.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		// The client keeps the server's words only, so ask for what they are about.
		if _, gone := stream.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
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
