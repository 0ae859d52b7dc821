package fairness

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// QueueJump moves requests past a backlog. The new requests of a connector lie in one
// stream in the order of their publication, whoever sent them. While this process has as
// many as it can work on, QueueJump looks further along the stream for requests of tenants
// that have few slots while another has many, and for urgent requests. It publishes each
// of them where parked requests come back, which is another queue and one without a
// backlog, and then removes it from the first. The cost grows with the number of
// requests that are moved, not with the length of the backlog.
//
// A crash between the two writes leaves the request twice, and an executor may receive
// the original at that moment. Both have the same id, so there is one result, and an
// action that may not be repeated is called once.
type QueueJump struct {
	Queue     *queue.Queue
	Connector string // key
	Consumer  string // name of the durable consumer of the connector's new requests
	Limiter   *Limiter[events.Tenant]
	Slots     int // of the limiter
	OnMoved   func()
	OnError   func(error)

	inProcess atomic.Int64 // new requests that were delivered to this process and are not acknowledged
	delivered uint64       // sequence that the consumer had reached at the last look
	lookedAt  time.Time
	scanned   uint64 // sequence up to which urgent requests were looked for
}

const (
	// LookEvery is the time between two looks at the stream. A request is not moved before.
	LookEvery = 100 * time.Millisecond
	// urgentScan bounds how long one look searches for urgent requests.
	urgentScan = 25 * time.Millisecond
	// parallelMoves bounds the moves at once.
	parallelMoves = 8
)

// Count returns a handler that counts the requests in this process. It is for the
// consumer of the connector's new requests.
func (q *QueueJump) Count(handle func(context.Context, *events.StoredMessage) error) func(context.Context, *events.StoredMessage) error {
	return func(ctx context.Context, m *events.StoredMessage) error {
		q.inProcess.Add(1)
		defer q.inProcess.Add(-1)
		return handle(ctx, m)
	}
}

// Run looks for requests to move until ctx ends, and returns nil.
func (q *QueueJump) Run(ctx context.Context) error {
	next := time.NewTimer(LookEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		pause := LookEvery
		if q.Limiter.Waiting() > 0 || q.inProcess.Load() >= int64(q.Slots) {
			listing, err := q.look(ctx)
			if err != nil && ctx.Err() == nil {
				q.OnError(err)
			}
			// To list a stream with very many subjects takes the server long.
			pause = max(pause, 9*listing)
		}
		next.Reset(pause)
	}
}

// look moves what may pass the backlog, and returns how long it took to list it.
func (q *QueueJump) look(ctx context.Context) (listing time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	consumer, err := q.Queue.Bus.JetStream().Consumer(ctx, q.Queue.Bus.Subjects.StreamName(events.Actions), q.Consumer)
	if err != nil {
		return 0, err
	}
	info := consumer.CachedInfo()
	began, head := time.Now(), info.Delivered.Stream
	delivered, since := head-min(q.delivered, head), began.Sub(q.lookedAt)
	first := q.lookedAt.IsZero()
	q.delivered, q.lookedAt = head, began
	if info.NumPending == 0 || first {
		return 0, nil
	}
	// What the consumer will deliver before the next look gains nothing by a move, and
	// may be delivered during it.
	head += uint64(float64(delivered) * min(LookEvery.Seconds()/since.Seconds(), 1))
	subjects, err := q.Queue.Streams.SubjectCounts(ctx, events.Actions, q.Queue.Bus.Subjects.ActionFilter(q.Connector))
	if err != nil {
		return 0, err
	}
	listing = time.Since(began)
	return listing, errors.Join(q.moveTenants(ctx, head, subjects), q.moveUrgent(ctx, head))
}

// backlog is what lies in the stream for a tenant.
type backlog struct {
	tenant   events.Tenant
	subjects []string
	requests uint64
	running  int // slots that the tenant holds
}

// byTenant returns the backlogs: those of tenants with the fewest slots first, then those
// with the fewest requests.
func (q *QueueJump) byTenant(subjects map[string]uint64) []*backlog {
	backlogs := map[events.Tenant]*backlog{}
	for subject, count := range subjects {
		ref, err := q.Queue.Subjects.ParseAction(subject)
		if err != nil {
			continue
		}
		b := backlogs[ref.Tenant]
		if b == nil {
			b = &backlog{tenant: ref.Tenant, running: q.Limiter.Running(ref.Tenant)}
			backlogs[ref.Tenant] = b
		}
		b.subjects = append(b.subjects, subject)
		b.requests += count
	}
	return slices.SortedFunc(maps.Values(backlogs), func(a, b *backlog) int {
		return cmp.Or(cmp.Compare(a.running, b.running), cmp.Compare(a.requests, b.requests))
	})
}

// moveTenants moves requests of tenants that could have more slots than they hold. The
// tenant with the most slots is being served, and its requests stay where they are.
func (q *QueueJump) moveTenants(ctx context.Context, head uint64, subjects map[string]uint64) error {
	backlogs := q.byTenant(subjects)
	if len(backlogs) < 2 {
		return nil
	}
	backlogs = backlogs[:min(len(backlogs)-1, q.Slots)]
	each := max(q.Slots/len(backlogs), 1)
	var moves errgroup.Group
	moves.SetLimit(parallelMoves)
	for _, b := range backlogs {
		moves.Go(func() error {
			left := min(q.Limiter.Available(b.tenant), each)
			for _, subject := range b.subjects {
				moved, err := q.moveSubject(ctx, head, subject, left)
				if left -= moved; err != nil || left <= 0 {
					return err
				}
			}
			return nil
		})
	}
	return moves.Wait()
}

// moveSubject moves up to count requests on a subject that lie behind head.
func (q *QueueJump) moveSubject(ctx context.Context, head uint64, subject string, count int) (moved int, err error) {
	for ; moved < count; moved++ {
		m, err := q.Queue.Streams.First(ctx, events.Actions, head+1, subject)
		if errors.Is(err, events.ErrNotFound) {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		if err := q.move(ctx, m); err != nil {
			return moved, err
		}
		head = m.Sequence
	}
	return moved, nil
}

// moveUrgent moves the urgent requests of a part of the backlog; the next look goes on
// where this one ends.
func (q *QueueJump) moveUrgent(ctx context.Context, head uint64) error {
	q.scanned = max(q.scanned, head)
	for until := time.Now().Add(urgentScan); time.Now().Before(until); {
		m, err := q.Queue.Streams.First(ctx, events.Actions, q.scanned+1, q.Queue.Bus.Subjects.ActionFilter(q.Connector))
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		q.scanned = m.Sequence
		if request, malformed := q.Queue.Subjects.ReadAction(m); malformed == nil && request.High {
			if err := q.move(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// move publishes a request where its consumer delivers it at once, then removes it from
// the backlog.
func (q *QueueJump) move(ctx context.Context, m *events.StoredMessage) error {
	request, malformed := q.Queue.Subjects.ReadAction(m)
	if malformed != nil {
		return nil // an executor will refuse it in its turn
	}
	request.Attempt, request.GeneratedID = 0, false
	moved := request.Message()
	for _, name := range []string{events.ExtTraceParent, events.ExtTraceState} {
		for _, spelling := range []string{name, "ce-" + name} {
			if v := m.Header[spelling]; len(v) > 0 {
				moved.Header["ce-"+name] = v
			}
		}
	}
	id := "moved/" + strconv.FormatUint(m.Sequence, 10) + "/" + strconv.FormatInt(m.Stored.UnixNano(), 36)
	_, err := q.Queue.Bus.Publish(ctx, q.Queue.Subjects.DueAction(request.ActionRef), moved, &events.PublishOptions{MsgID: id})
	if errors.Is(err, events.ErrTooLarge) {
		return nil
	}
	if err != nil {
		return err
	}
	q.OnMoved()
	return q.Queue.Streams.Remove(ctx, events.Actions, m.Sequence)
}
