package queue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// Streams reads the messages of streams, and deletes them.
type Streams struct{ bus *events.Bus }

// SubjectCounts returns the number of messages on each subject that matches filter, for
// at most 100,000 subjects (one page of the server), which bounds the memory.
func (s Streams) SubjectCounts(ctx context.Context, stream events.Stream, filter string) (map[string]uint64, error) {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	query, err := json.Marshal(map[string]string{"subjects_filter": filter})
	if err != nil {
		return nil, err
	}
	// The client's call reads all pages.
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

// StreamState is the fill level of a stream.
type StreamState struct {
	Messages uint64
	Bytes    uint64
	MaxBytes uint64 // 0: no limit
	Subjects uint64
	First    uint64        // sequence of the oldest message
	Last     uint64        // sequence of the newest message, stored or deleted
	MaxAge   time.Duration // 0: no limit
	Oldest   time.Time     // when the oldest message was stored, zero without one
}

// State returns the fill level of a stream.
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
		Subjects: info.State.NumSubjects, First: info.State.FirstSeq, Last: info.State.LastSeq, MaxAge: info.Config.MaxAge, Oldest: info.State.FirstTime,
	}, nil
}

// First returns the oldest message from a sequence on whose subject matches filter, or
// [events.ErrNotFound].
func (s Streams) First(ctx context.Context, stream events.Stream, from uint64, filter string) (*events.StoredMessage, error) {
	return s.message(ctx, stream, max(from, 1), jetstream.WithGetMsgSubject(filter))
}

// Message returns the message with a sequence, or [events.ErrNotFound].
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
	return stored(msg, err)
}

// Newest returns the newest message on a subject, or [events.ErrNotFound].
func (s Streams) Newest(ctx context.Context, stream events.Stream, subject string) (*events.StoredMessage, error) {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	msg, err := handle.GetLastMsgForSubject(ctx, subject)
	return stored(msg, err)
}

// stored returns what the server answered.
func stored(msg *jetstream.RawStreamMsg, err error) (*events.StoredMessage, error) {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, events.ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	m := &events.StoredMessage{Subject: msg.Subject, Header: msg.Header, Data: msg.Data, Sequence: msg.Sequence, Stored: msg.Time, NumDelivered: 1}
	if m.Header == nil {
		m.Header = events.Header{}
	}
	// A direct get adds these headers.
	for _, name := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer, "Nats-Num-Pending", "Nats-Last-Sequence"} {
		delete(m.Header, name)
	}
	return m, nil
}

// Remove deletes a message. It is no error if the message does not exist.
func (s Streams) Remove(ctx context.Context, stream events.Stream, sequence uint64) error {
	ctx, cancel := s.bus.Deadline(ctx)
	defer cancel()
	handle, err := s.bus.Stream(ctx, stream)
	if err != nil {
		return err
	}
	err = handle.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		// The error does not say whether the message exists.
		if _, err := handle.GetMsg(ctx, sequence); errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
