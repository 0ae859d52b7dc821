package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// maxFeeds bounds the feeds served at once, and maxFeedsEach those of one token.
	maxFeeds     = 1024
	maxFeedsEach = 128
	// keepAlive is the time between two comments in a feed without events, and
	// feedWriteTimeout bounds each write.
	keepAlive = 15 * time.Second
	// checkToken is how soon a feed ends whose token is revoked or expires.
	checkToken       = 500 * time.Millisecond
	feedWriteTimeout = 20 * time.Second
)

// feeds serves lifecycle events.
type feeds struct {
	queue    *queue.Queue
	service  *connection.Service
	tokens   *records.APITokens
	open     *semaphore.Weighted
	requests *semaphore.Weighted // has a slot for each HTTP request that is handled now
	closing  <-chan struct{}     // ends all feeds
	log      zerolog.Logger
	each     int // feeds of one token at once

	mu     sync.Mutex
	served map[string]int // feeds by token, guarded by mu
}

// acquire takes a slot for a feed of the token: CONNECTOR_QUOTA_EXCEEDED if it has as many as
// one may have, CONNECTOR_UNAVAILABLE if this process serves as many as it can.
func (f *feeds) acquire(token string) (release func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.served[token] >= f.each {
		e := connectors.Errorf(connectors.CodeConnectorQuotaExceeded, "this token reads %d feeds of this process, the most that one may (HAWSER_FEEDS_PER_TOKEN)", f.each)
		e.RetryAfter = keepAlive
		return nil, e
	}
	if !f.open.TryAcquire(1) {
		return nil, problem.Overloaded("too many feeds at once")
	}
	f.served[token]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open.Release(1)
		if f.served[token]--; f.served[token] == 0 {
			delete(f.served, token)
		}
	}, nil
}

// serve is GET /events: lifecycle events as server-sent events, each a CloudEvent in
// JSON. An event's id is its stream sequence, so that a client that reconnects with
// Last-Event-ID gets all that the stream still has.
func (f *feeds) serve(w http.ResponseWriter, r *http.Request) {
	filter, after, err := f.read(r)
	if err != nil {
		problem.Write(w, err)
		return
	}
	release, err := f.acquire(connection.Actor(r.Context()))
	if err != nil {
		problem.Write(w, err)
		return
	}
	defer release()
	// A feed lasts, so it gives its slot to other requests.
	f.requests.Release(1)
	defer func() { _ = f.requests.Acquire(context.WithoutCancel(r.Context()), 1) }()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	next := make(chan *events.StoredMessage)
	var g errgroup.Group
	g.Go(func() error {
		defer cancel()
		return f.queue.Streams.Follow(ctx, events.Lifecycle, filter, after, func(d *events.StoredMessage) error {
			select {
			case next <- d:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	})
	g.Go(func() error {
		select {
		case <-f.closing:
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	f.write(ctx, w, next)
	cancel()
	_ = g.Wait() // its only error is that of ctx
}

// write writes events until ctx ends, a write fails, or the token is no longer valid.
func (f *feeds) write(ctx context.Context, w http.ResponseWriter, next <-chan *events.StoredMessage) {
	ticker, check := time.NewTicker(keepAlive), time.NewTicker(checkToken)
	defer ticker.Stop()
	defer check.Stop()
	frame := []byte(": hawser\n\n")
	for {
		if len(frame) > 0 {
			out := http.NewResponseController(w)
			_ = out.SetWriteDeadline(time.Now().Add(feedWriteTimeout)) // a writer may have no deadlines
			if _, err := w.Write(frame); err != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case d := <-next:
			frame = f.frame(d)
		case <-ticker.C:
			frame = []byte(":\n\n")
		case <-check.C:
			frame = nil
			// A store that does not answer ends no feed.
			if errors.Is(f.tokens.Check(ctx, callerOf(ctx).token), &connectors.Error{Code: connectors.CodeUnauthenticated}) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// frame returns a server-sent event; nil for a message that is no event.
func (f *feeds) frame(d *events.StoredMessage) []byte {
	e, err := events.Decode(d.Header, d.Data)
	var doc []byte
	if err == nil {
		_, doc, err = events.EncodeStructured(e)
	}
	if err != nil {
		f.log.Warn().Err(err).Uint64("sequence", d.Sequence).Msg("an event cannot be read")
		return nil
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "id: %d\nevent: %s\n", d.Sequence, e.Type())
	for line := range bytes.Lines(doc) {
		fmt.Fprintf(&out, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	out.WriteByte('\n')
	return out.Bytes()
}

var kindPattern = regexp.MustCompile(`^[a-z]+(\.([a-z_]+|\*))?$`)

// read reads which events a feed has, and the stream sequence after which it begins:
// the last one, unless since or Last-Event-ID is given.
func (f *feeds) read(r *http.Request) (filter string, after uint64, err error) {
	q, err := readQuery(r.URL.RawQuery, "scope identity connector type since", "this path")
	if err != nil {
		return "", 0, err
	}
	if scope := q.Get("scope"); scope != "" {
		identity := q.Get("identity")
		if identity == "" {
			identity = "anybody"
		}
		if err := f.service.CheckTenant(events.Tenant{Scope: scope, Identity: identity}); err != nil {
			return "", 0, err
		}
	}
	tenant := token(r, "scope") + "." + token(r, "identity")
	if own := callerOf(r.Context()).tenant; own != nil {
		tenant = events.Token(own.Scope) + "." + events.Token(own.Identity)
	}
	kind := strings.TrimPrefix(q.Get("type"), "hawser.")
	switch {
	case kind == "":
		kind = ">"
	case !kindPattern.MatchString(kind):
		return "", 0, problem.Invalid("type", "must be an event's type such as action.completed, or its noun")
	case !strings.Contains(kind, "."):
		kind += ".*"
	}
	filter = f.queue.Bus.Subjects.Prefix() + ".event." + tenant + "." + token(r, "connector") + "." + kind
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if after, err = strconv.ParseUint(last, 10, 62); err != nil {
			return "", 0, problem.Invalid("Last-Event-ID", "must be the id of an earlier event of this feed")
		}
		return filter, after, nil
	}
	var since time.Time
	if v := q.Get("since"); v != "" {
		if since, err = events.ParseTime(v); err != nil {
			return "", 0, problem.Invalid("since", "must be an RFC 3339 time")
		}
	}
	after, err = f.sequenceBefore(r.Context(), since)
	return filter, after, err
}

// sequenceBefore returns the stream sequence after which the events since then are; the
// last one if since is zero.
func (f *feeds) sequenceBefore(ctx context.Context, since time.Time) (uint64, error) {
	// Read first, so that events that are stored meanwhile are after it.
	state, err := f.queue.Streams.State(ctx, events.Lifecycle)
	if err != nil {
		return 0, problem.OfStream(err)
	}
	sequence := state.Last
	if since.IsZero() {
		return sequence, nil
	}
	err = f.queue.Streams.Scan(ctx, events.Lifecycle, f.queue.Bus.Subjects.Prefix()+".event.>", since, func(d *events.StoredMessage) bool {
		sequence = min(sequence, d.Sequence-1)
		return false
	})
	if err != nil {
		return 0, problem.OfStream(err)
	}
	return sequence, nil
}
