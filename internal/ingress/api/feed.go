package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// maxFeeds bounds the feeds served at once.
	maxFeeds = 128
	// feedPulse is how often a feed in which nothing happens shows that it lives,
	// and feedPatience how long its reader may take to read.
	feedPulse    = 15 * time.Second
	feedPatience = 20 * time.Second
)

// feeds serves lifecycle events.
type feeds struct {
	queue    *queue.Queue
	scopes   connection.Scopes
	open     *semaphore.Weighted
	requests *semaphore.Weighted // has a slot for each HTTP request that is handled now
	closing  <-chan struct{}     // ends all feeds
	log      zerolog.Logger
}

// serve is GET /events: lifecycle events as server-sent events, each as a CloudEvent
// in JSON. An id is the event's place in its stream, so that a reader that comes
// again with Last-Event-ID misses nothing that the stream still holds.
func (f *feeds) serve(w http.ResponseWriter, r *http.Request) {
	filter, behind, err := f.feedOf(r)
	if err != nil {
		problem.Write(w, err)
		return
	}
	if !f.open.TryAcquire(1) {
		problem.Write(w, problem.Overloaded("too many feeds at once"))
		return
	}
	defer f.open.Release(1)
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
		return f.queue.Streams.Follow(ctx, events.Lifecycle, filter, behind, func(d *events.StoredMessage) error {
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
	f.pump(ctx, w, next)
	cancel()
	_ = g.Wait() // the reader is gone, or we are
}

// pump writes what comes until ctx ends, or the reader does not read.
func (f *feeds) pump(ctx context.Context, w http.ResponseWriter, next <-chan *events.StoredMessage) {
	pulse := time.NewTicker(feedPulse)
	defer pulse.Stop()
	frame := []byte(": hawser\n\n")
	for {
		out := http.NewResponseController(w)
		// A writer that has no deadlines needs none.
		_ = out.SetWriteDeadline(time.Now().Add(feedPatience))
		if _, err := w.Write(frame); err != nil || out.Flush() != nil {
			return
		}
		select {
		case d := <-next:
			frame = f.frame(d)
		case <-pulse.C:
			frame = []byte(":\n\n")
		case <-ctx.Done():
			return
		}
	}
}

// frame is one server-sent event; nothing for what is no event.
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

// feedOf reads what a feed is to be of, and behind which place of the stream it
// begins: the last one, unless since or Last-Event-ID says otherwise.
func (f *feeds) feedOf(r *http.Request) (filter string, behind uint64, err error) {
	q, err := knownQuery(r, "scope identity connector type since")
	if err != nil {
		return "", 0, err
	}
	if scope := q.Get("scope"); scope != "" {
		identity := q.Get("identity")
		if identity == "" {
			identity = "anybody"
		}
		if err := f.scopes.Check(events.Tenant{Scope: scope, Identity: identity}); err != nil {
			return "", 0, err
		}
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
	filter = f.queue.Bus.Subjects.Prefix() + ".event." + token(r, "scope") + "." + token(r, "identity") + "." + token(r, "connector") + "." + kind
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if behind, err = strconv.ParseUint(last, 10, 62); err != nil {
			return "", 0, problem.Invalid("Last-Event-ID", "must be the id of an earlier event of this feed")
		}
		return filter, behind, nil
	}
	var since time.Time
	if v := q.Get("since"); v != "" {
		if since, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return "", 0, problem.Invalid("since", "must be an RFC 3339 time")
		}
	}
	behind, err = f.placeOf(r.Context(), since)
	return filter, behind, err
}

// placeOf is the place in the stream behind which lies what was stored since then;
// the last one if since is zero.
func (f *feeds) placeOf(ctx context.Context, since time.Time) (uint64, error) {
	// Asked first: what is stored meanwhile lies behind it.
	state, err := f.queue.Streams.State(ctx, events.Lifecycle)
	if err != nil {
		return 0, problem.OfStream(err)
	}
	place := state.Last
	if since.IsZero() {
		return place, nil
	}
	err = f.queue.Streams.Scan(ctx, events.Lifecycle, f.queue.Bus.Subjects.Prefix()+".event.>", since, func(d *events.StoredMessage) bool {
		place = min(place, d.Sequence-1)
		return false
	})
	if err != nil {
		return 0, problem.OfStream(err)
	}
	return place, nil
}
