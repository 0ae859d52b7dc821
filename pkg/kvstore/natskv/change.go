package natskv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// conflictTries bounds how often a call chases a key that changes under it.
const conflictTries = 16

// A write that was refused although the key has not moved is repeated, up to
// refusalTries times, after pauses that double from refusalPause to
// refusalMaxPause: about half a second in all.
const (
	refusalTries    = 10
	refusalPause    = 2 * time.Millisecond
	refusalMaxPause = 100 * time.Millisecond
)

// change is one conditional write: it is stored only if the last message of the
// key's subject is still expected (0 = there is none).
type change struct {
	key       string
	value     []byte
	ttl       time.Duration // 0 = forever
	operation string        // set on a marker
	expected  uint64
}

// apply stores c and returns its sequence. If the key is not at c.expected, it
// returns [kvstore.ErrConflict] and what is there instead.
//
// A write whose answer is lost may have been stored. A refusal may be early: a
// replicated stream refuses because of another write that it has not stored
// yet; or wrong (nats-server #7281). Every message therefore carries an id of
// the call, and after either the leader is asked what is there. Comparing
// values would not do: two callers may write the same one.
func (s *Store) apply(ctx context.Context, c change) (uint64, record, error) {
	id := nuid.Next()
	wait := refusalPause
	for try := 1; ; try++ {
		seq, err := s.publish(ctx, c, id)
		if err == nil {
			return seq, record{}, nil
		}
		refused := wrongSequence(err)
		if !refused && answered(err) {
			return 0, record{}, unavailable(err)
		}

		found, readErr := s.last(ctx, c.key)
		switch {
		case readErr == nil && found.seq != 0 && found.header.Get(headerWriteID) == id:
			return found.seq, record{}, nil
		case !refused:
			// Not there yet is not never: it may still be on its way.
			return 0, record{}, unavailable(err)
		case readErr != nil:
			return 0, record{}, readErr
		case found.seq != c.expected:
			return 0, found, kvstore.ErrConflict
		case try == refusalTries:
			return 0, record{}, fmt.Errorf("%w: refused at an unchanged revision: %w", kvstore.ErrUnavailable, err)
		}
		if err := pause(ctx, wait); err != nil {
			return 0, record{}, unavailable(err)
		}
		wait = min(2*wait, refusalMaxPause)
	}
}

// publish makes one attempt. It keeps a quarter of the time that is left, for
// finding out what became of a write without an answer.
func (s *Store) publish(ctx context.Context, c change, id string) (uint64, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	m := &nats.Msg{Subject: s.prefix + c.key, Data: c.value, Header: nats.Header{headerWriteID: {id}}}
	if c.operation != "" {
		m.Header[headerOperation] = []string{c.operation}
	}
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(c.expected)}
	if c.ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(c.ttl))
	}
	ack, err := s.js.PublishMsg(ctx, m, opts...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// wrongSequence reports whether the server refused because the key is not at
// the expected sequence: 10071, or 10164 on a replicated stream.
func wrongSequence(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// answered reports whether err means that the write was certainly not stored.
func answered(err error) bool {
	_, api := errors.AsType[*jetstream.APIError](err)
	return api || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrMaxPayload)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
