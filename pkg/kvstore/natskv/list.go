package natskv

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	// maxPageBytes bounds one direct answer of the server, whatever the sizes of
	// the values are.
	maxPageBytes = 4 << 20
	// maxDirect is how many messages the server puts in one direct answer at
	// most, and one more that closes it.
	maxDirect = 1024 + 1
)

// List implements [kvstore.Store]. Up to about a thousand keys come in one
// stateless request, which is what the lists of a tenant or a connection are;
// more are read through a short-lived consumer. Without a deadline in ctx each
// request gets one of its own, so a long list does not run out of time.
func (s *Store) List(ctx context.Context, filter string) iter.Seq2[kvstore.Entry, error] {
	return func(yield func(kvstore.Entry, error) bool) {
		fail := func(err error) { yield(kvstore.Entry{}, s.wrap("list", filter, err)) }
		if err := kvstore.CheckFilter(filter); err != nil {
			fail(err)
			return
		}
		page, next, err := s.listDirect(ctx, filter)
		if err != nil {
			fail(err)
			return
		}
		for _, r := range page {
			if !r.absent() && !yield(r.entry(), nil) {
				return
			}
		}
		if next == 0 {
			return
		}
		stopped := false
		err = s.scan(ctx, scan{filter: filter, from: next}, func(r record) bool {
			stopped = !r.absent() && !yield(r.entry(), nil)
			return !stopped
		})
		if err != nil && !stopped {
			fail(err)
		}
	}
}

// listDirect reads what matches filter in one request. If that was not all,
// next is the sequence to go on from: 1 if the server found too many keys to
// answer at all.
func (s *Store) listDirect(ctx context.Context, filter string) (page []record, next uint64, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	request := map[string]any{"multi_last": []string{s.prefix + filter}, "max_bytes": maxPageBytes}
	page, end, err := s.direct(ctx, request, maxDirect)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case end == nothing:
		return nil, 0, nil
	case end.status != "204":
		return nil, 1, nil // too many keys, or the server lost one while it read
	case end.pending > 0 && len(page) > 0:
		return page, page[len(page)-1].seq + 1, nil
	}
	return page, 0, nil
}

// directEnd closes a direct answer of the server: 204 end of batch, 404 nothing,
// 413 too many keys.
type directEnd struct {
	status, description string
	pending             int // how many more there are
}

// nothing closes a list without keys. Another 404 means that the server could
// not read a message which it had found.
var nothing = directEnd{status: "404", description: "No Results"}

// direct sends a direct get for several messages and collects the answer, which
// has up to size messages with its end. Any replica may answer.
func (s *Store) direct(ctx context.Context, request any, size int) ([]record, directEnd, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, directEnd{}, err
	}
	answers, err := newInbox(s.nc, size)
	if err != nil {
		return nil, directEnd{}, unavailable(err)
	}
	defer answers.close()
	if err := s.nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+s.name, answers.subject(), body); err != nil {
		return nil, directEnd{}, unavailable(err)
	}

	var page []record
	for {
		m, err := answers.next(ctx)
		if err != nil {
			return nil, directEnd{}, unavailable(err)
		}
		if m.Header.Get(jetstream.SequenceHeader) != "" {
			r, err := s.directRecord(m)
			if err != nil {
				return nil, directEnd{}, unavailable(err)
			}
			page = append(page, r)
			continue
		}
		end := directEnd{status: m.Header.Get("Status"), description: m.Header.Get("Description")}
		switch end.status {
		case "204", "404", "413":
			end.pending, _ = strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
			return page, end, nil
		}
		err = fmt.Errorf("direct get: %s %s", end.status, end.description)
		return nil, directEnd{}, unavailable(err)
	}
}

// directRecord reads one message of a direct answer.
func (s *Store) directRecord(m *nats.Msg) (record, error) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return record{}, fmt.Errorf("direct get: bad sequence: %w", err)
	}
	created, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return record{}, fmt.Errorf("direct get: bad time: %w", err)
	}
	key := strings.TrimPrefix(m.Header.Get(jetstream.SubjectHeader), s.prefix)
	return record{key: key, value: m.Data, seq: seq, time: created, header: m.Header}, nil
}
