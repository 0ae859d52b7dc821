package queue

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// Streams reads the streams, and removes messages from them.
type Streams struct{ bus *events.Bus }

// SubjectCounts returns how many messages a stream holds on each subject that matches
// filter, in one page of the server (100,000 subjects): memory stays bounded
// whatever the stream holds.
func (s Streams) SubjectCounts(ctx context.Context, stream events.Stream, filter string) (map[string]uint64, error) {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	query, err := json.Marshal(struct {
		Filter string `json:"subjects_filter"`
	}{filter})
	if err != nil {
		return nil, err
	}
	// The client's own call reads all pages.
	msg, err := s.bus.JetStream().Conn().RequestWithContext(ctx, "$JS.API.STREAM.INFO."+s.bus.Subjects.StreamName(stream), query)
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
func (s Streams) State(ctx context.Context, stream events.Stream) (StreamState, error) {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return StreamState{}, err
	}
	info, err := handle.Info(ctx)
	if err != nil {
		return StreamState{}, unavailable(err)
	}
	return StreamState{
		Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: uint64(max(info.Config.MaxBytes, 0)),
		Subjects: info.State.NumSubjects, Last: info.State.LastSeq,
	}, nil
}

// First returns the oldest message at or behind sequence from whose subject
// matches filter; [events.ErrNotFound] if there is none.
func (s Streams) First(ctx context.Context, stream events.Stream, from uint64, filter string) (*events.StoredMessage, error) {
	return s.message(ctx, stream, max(from, 1), jetstream.WithGetMsgSubject(filter))
}

// Message returns the message with a sequence number; [events.ErrNotFound] if it is gone.
func (s Streams) Message(ctx context.Context, stream events.Stream, sequence uint64) (*events.StoredMessage, error) {
	return s.message(ctx, stream, sequence)
}

func (s Streams) message(ctx context.Context, stream events.Stream, sequence uint64, opts ...jetstream.GetMsgOpt) (*events.StoredMessage, error) {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	msg, err := handle.GetMsg(ctx, sequence, opts...)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, events.ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	d := &events.StoredMessage{Subject: msg.Subject, Header: msg.Header, Data: msg.Data, Sequence: msg.Sequence, Stored: msg.Time, NumDelivered: 1}
	if d.Header == nil {
		d.Header = events.Header{}
	}
	// A direct read says with headers of its own what is said here by fields.
	for _, name := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer, "Nats-Num-Pending", "Nats-Last-Sequence"} {
		delete(d.Header, name)
	}
	return d, nil
}

// Remove deletes a message. One that is gone already is no error.
func (s Streams) Remove(ctx context.Context, stream events.Stream, sequence uint64) error {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return err
	}
	err = handle.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		// The client keeps the server's words only, so ask for what they are about.
		if _, gone := handle.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
