package natskv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	headerOperation = "KV-Operation"
	headerWriteID   = "Write-Id"
	operationPurge  = "PURGE"
)

// record is a key's last message. Without a message seq is 0.
type record struct {
	key    string
	value  []byte
	seq    uint64
	time   time.Time
	header nats.Header
}

// absent reports whether there is no such key: no message, or a marker.
func (r record) absent() bool { return r.seq == 0 || marker(r.header) }

func (r record) entry() kvstore.Entry {
	value := r.value
	if value == nil {
		value = []byte{}
	}
	return kvstore.Entry{Key: r.key, Value: value, Revision: r.seq, Created: r.time}
}

// marker reports whether a message with these headers tells that its key is
// gone: deleted by a client (KV-Operation: DEL, PURGE) or by the server.
func marker(h nats.Header) bool {
	return h.Get(headerOperation) != "" || h.Get(jetstream.MarkerReasonHeader) != ""
}

// near reads a key from whichever replica answers.
func (s *Store) near(ctx context.Context, key string) (record, error) {
	m, err := s.stream.GetLastMsgForSubject(ctx, s.prefix+key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return record{}, nil
	case err != nil:
		return record{}, unavailable(err)
	}
	return record{key: key, value: m.Data, seq: m.Sequence, time: m.Time, header: m.Header}, nil
}

// last reads a key from the stream's leader.
func (s *Store) last(ctx context.Context, key string) (record, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": s.prefix + key})
	if err != nil {
		return record{}, err
	}
	answer, err := s.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+s.name, request)
	if err != nil {
		return record{}, unavailable(err)
	}
	var reply struct {
		Error   *jetstream.APIError
		Message struct {
			Subject string
			Seq     uint64
			Hdrs    []byte
			Data    []byte
			Time    time.Time
		}
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		return record{}, unavailable(err)
	}
	if reply.Error != nil {
		if reply.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return record{}, nil
		}
		return record{}, unavailable(reply.Error)
	}
	m := reply.Message
	var header nats.Header
	if len(m.Hdrs) > 0 {
		if header, err = nats.DecodeHeadersMsg(m.Hdrs); err != nil {
			return record{}, unavailable(err)
		}
	}
	return record{key: key, value: m.Data, seq: m.Seq, time: m.Time, header: header}, nil
}

// unavailable wraps what went wrong on the way, unless it says more already.
func unavailable(err error) error {
	switch {
	case errors.Is(err, kvstore.ErrUnavailable), errors.Is(err, kvstore.ErrTooLarge):
		return err
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return fmt.Errorf("%w: %w", kvstore.ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", kvstore.ErrUnavailable, err)
}
