package natskv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	scanPage        = 256  // messages of one request, with values
	scanPageHeaders = 4096 // without
	// scanIdle is how long the server keeps a consumer that nobody asks: the
	// backstop, should the process die before it deletes it.
	scanIdle = 30 * time.Second
	// scanFailures bounds how often in a row a page is tried again.
	scanFailures = 8
)

// errGap: messages of the server were lost on the way.
var errGap = errors.New("messages lost")

// scan reads the matching messages in the order of their sequences, up to the
// end of the stream as it is when the end is reached.
type scan struct {
	filter      string
	from        uint64 // first sequence
	headersOnly bool   // leave the values in the store
}

// scan calls fn for every message, until fn returns false. Pages are read
// completely before fn sees them, so fn may be slow and may use the store.
func (s *Store) scan(ctx context.Context, sc scan, fn func(record) bool) error {
	next := max(sc.from, 1)
	var c *cursor
	defer func() { c.close(ctx) }()
	for failures := 0; ; {
		page, end, err := s.scanPage(ctx, &c, sc, next)
		if err != nil {
			failures++
			if failures > scanFailures || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return err
			}
			// In a cluster, our server may not have heard of a new consumer yet.
			// An old one is gone, since fn was slow or a server restarted: another
			// goes on from where we are.
			if fresh := c != nil && c.delivered == 0 && errors.Is(err, nats.ErrNoResponders); !fresh {
				c.close(ctx)
				c = nil
			}
			if err := pause(ctx, time.Duration(failures)*5*time.Millisecond); err != nil {
				return unavailable(err)
			}
			continue
		}
		failures = 0
		for _, r := range page {
			next = r.seq + 1
			if !fn(r) {
				return nil
			}
		}
		if end {
			return nil
		}
	}
}

func (s *Store) scanPage(ctx context.Context, c **cursor, sc scan, next uint64) ([]record, bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if *c == nil {
		opened, err := s.openCursor(ctx, sc, next)
		if err != nil {
			return nil, false, unavailable(err)
		}
		*c = opened
	}
	page, end, err := (*c).read(ctx)
	if err != nil {
		return nil, false, unavailable(err)
	}
	return page, end, nil
}

// cursor is a consumer on the server that nothing else uses.
type cursor struct {
	store     *Store
	name      string
	answers   *inbox
	request   []byte
	size      int
	delivered uint64 // consumer sequence of the last message
}

func (s *Store) openCursor(ctx context.Context, sc scan, from uint64) (*cursor, error) {
	consumer, err := s.js.CreateConsumer(ctx, s.name, jetstream.ConsumerConfig{
		FilterSubject:     s.prefix + sc.filter,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       from,
		AckPolicy:         jetstream.AckNonePolicy,
		HeadersOnly:       sc.headersOnly,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: scanIdle,
	})
	if err != nil {
		return nil, err
	}
	c := &cursor{store: s, name: consumer.CachedInfo().Name, size: scanPage}
	if sc.headersOnly {
		c.size = scanPageHeaders
	}
	c.request, err = json.Marshal(map[string]any{"batch": c.size, "no_wait": true})
	if err == nil {
		c.answers, err = newInbox(s.nc, c.size+1)
	}
	if err != nil {
		c.close(ctx)
		return nil, err
	}
	return c, nil
}

// read returns the next page; end means that there is no more now.
func (c *cursor) read(ctx context.Context) (page []record, end bool, err error) {
	subject := jetstream.DefaultAPIPrefix + "CONSUMER.MSG.NEXT." + c.store.name + "." + c.name
	if err := c.store.nc.PublishRequest(subject, c.answers.subject(), c.request); err != nil {
		return nil, false, err
	}
	for len(page) < c.size {
		m, err := c.answers.next(ctx)
		if err != nil {
			return nil, false, err
		}
		if m.Reply == "" { // a status ends the page
			switch status := m.Header.Get("Status"); status {
			case "404":
				return page, true, nil
			case "408":
				return page, len(page) == 0, nil
			default:
				return nil, false, fmt.Errorf("scan: %s %s", status, m.Header.Get("Description"))
			}
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, false, err
		}
		c.delivered++
		if meta.Sequence.Consumer != c.delivered {
			return nil, false, errGap
		}
		key := strings.TrimPrefix(m.Subject, c.store.prefix)
		page = append(page, record{
			key: key, value: m.Data, seq: meta.Sequence.Stream, time: meta.Timestamp, header: m.Header,
		})
	}
	return page, false, nil
}

// close deletes the consumer, which would otherwise wait for scanIdle. It works
// after ctx has ended, and on nil.
func (c *cursor) close(ctx context.Context) {
	if c == nil {
		return
	}
	if c.answers != nil {
		c.answers.close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.store.js.DeleteConsumer(ctx, c.store.name, c.name)
}
